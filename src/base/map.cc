// Map, File and OutputFile over POSIX calls.

#include "base/map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace nemotron {
namespace {

[[noreturn]] void fail_with_errno(const char* what, const std::filesystem::path& path, const char* hint = "") {
  throw Error({.what = what, .where = path.string(), .found = std::generic_category().message(errno), .hint = hint});
}

constexpr size_t kMostPerCall = size_t{1} << 30;  // Linux moves at most 2 GiB a call

}  // namespace

bool path_exists(const std::filesystem::path& path) {
  std::error_code ignored;  // the overload without it throws for a name that is too long
  return std::filesystem::exists(path, ignored);
}

Map::~Map() {
  if (data_) munmap(data_, size_);
}

void Map::swap(Map& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
}

Map Map::zeros(size_t size) {
  Map out;
  if (size == 0) return out;
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  out.data_ = static_cast<uint8_t*>(data);
  out.size_ = size;
  return out;
}

File::File(std::filesystem::path path) : path_(std::move(path)) {
  descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make us wait
  if (descriptor_ < 0) fail_with_errno("cannot open the file", path_);
  struct stat status = {};
  const bool known = fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    throw Error({.what = "not a file",
                 .where = path_.string(),
                 .expected = "a regular file",
                 .found = known && S_ISDIR(status.st_mode) ? "a directory" : "something else"});
  }
  size_ = uint64_t(status.st_size);
  posix_fadvise(descriptor_, 0, 0, POSIX_FADV_RANDOM);  // headers are read, the weights behind them are not
}

File::~File() { close(descriptor_); }

void File::read(uint64_t offset, void* out, size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    throw Error({.what = "the file is cut short",
                 .where = path_.string(),
                 .expected = fmt::format("{} bytes from byte {} on", count, offset),
                 .found = fmt::format("a file of {} bytes", size_),
                 .hint = "fetch it again"});
  }
  for (size_t done = 0; done < count;) {
    const ssize_t got =
        pread(descriptor_, static_cast<char*>(out) + done, std::min(count - done, kMostPerCall), off_t(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_with_errno("cannot read the file", path_);
    if (got == 0) throw Error({.what = "the file became shorter while it was read", .where = path_.string()});
    done += size_t(got);
  }
}

Map File::map() const {
  Map out;
  if (size_ == 0) return out;
  posix_fadvise(descriptor_, 0, 0, POSIX_FADV_NORMAL);  // whoever maps it will read on
  void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
  if (data == MAP_FAILED) fail_with_errno("cannot map the file into memory", path_);
  out.data_ = static_cast<uint8_t*>(data);
  out.size_ = size_;
  return out;
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  const File file(path);
  if (file.size() > limit) {
    throw Error({.what = "the file is too large",
                 .where = path.string(),
                 .expected = fmt::format("at most {} bytes", limit),
                 .found = fmt::format("{} bytes", file.size())});
  }
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

OutputFile::OutputFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  if (std::filesystem::is_directory(status)) {
    throw Error({.what = "cannot write the file",
                 .where = path_.string(),
                 .expected = "the name of a file",
                 .found = "a directory"});
  }
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    // Beside the target, so that the rename stays on one file system; a link keeps pointing at what is replaced.
    if (std::filesystem::exists(status)) path_ = std::filesystem::canonical(path_, ignored);
    for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
      temporary_ = path_.string() + fmt::format(".{}.{}.part", getpid(), attempt);
      descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0666);
      if (descriptor_ < 0 && errno != EEXIST) break;
    }
    if (descriptor_ < 0) temporary_.clear();
  }
  if (descriptor_ < 0) fail("cannot create the file");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void OutputFile::fail(const char* what) const { fail_with_errno(what, path_, "is there room, and may it be written?"); }

void OutputFile::write(const void* data, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t put =
        ::write(descriptor_, static_cast<const char*>(data) + done, std::min(count - done, kMostPerCall));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EINVAL && direct_) {  // a file system that takes the flag and then refuses
      direct(false);
      continue;
    }
    if (put < 0) fail("cannot write the file");
    done += size_t(put);
  }
}

void OutputFile::direct(bool on) {
#ifdef O_DIRECT
  const int flags = fcntl(descriptor_, F_GETFL);
  if (flags >= 0 && fcntl(descriptor_, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0) direct_ = on;
#else
  static_cast<void>(on);
#endif
}

void OutputFile::add_hole(uint64_t count) {
  const off_t end = lseek(descriptor_, 0, SEEK_CUR);
  if (end < 0 || ftruncate(descriptor_, end + off_t(count)) != 0 || lseek(descriptor_, 0, SEEK_END) < 0)
    fail("cannot make the file larger");
}

void OutputFile::commit() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (close(descriptor) != 0) fail("cannot write the file");
  if (temporary_.empty()) return;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename the finished file to its name");
  temporary_.clear();
}

}  // namespace nemotron
