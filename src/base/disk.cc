// random_read_speed: a few threads that read with O_DIRECT until their time is over.

#include "base/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace nemotron {
namespace {

#ifdef O_DIRECT
constexpr int kDirect = O_DIRECT;
#else
constexpr int kDirect = 0;
#endif
constexpr uint64_t kAlignment = 4096, kSmallest = 64 << 10, kLargest = 1 << 20;
constexpr uint64_t kMost = 512 << 20;  // bytes in all: some disks count what is read from them
constexpr int kReaders = 16;           // one read after another keeps no disk busy

struct Descriptor {
  explicit Descriptor(const std::filesystem::path& path)
      : number(kDirect ? open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | kDirect) : -1),
        size(number < 0 ? 0 : std::max<off_t>(lseek(number, 0, SEEK_END), 0)) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int number;
  const off_t size;
};

struct Aligned {
  void operator()(uint8_t* p) const { ::operator delete[](p, std::align_val_t(kAlignment)); }
};

}  // namespace

double random_read_speed(std::span<const std::filesystem::path> files, uint64_t size, double seconds) {
  size = std::clamp(size / kAlignment * kAlignment, kSmallest, kLargest);
  std::vector<std::unique_ptr<Descriptor>> open_files;
  for (const auto& path : files) {
    auto file = std::make_unique<Descriptor>(path);
    if (uint64_t(file->size) >= 4 * size) open_files.push_back(std::move(file));
  }
  if (open_files.empty()) return 0;

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::atomic<uint64_t> total{0};
  std::atomic<bool> failed{false};
  const auto read_on = [&](uint64_t seed) {
    const std::unique_ptr<uint8_t[], Aligned> buffer(new (std::align_val_t(kAlignment), std::nothrow) uint8_t[size]);
    if (!buffer) failed = true;
    while (!failed && total < kMost && std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const Descriptor& file = *open_files[(seed >> 33) % open_files.size()];
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const uint64_t places = (uint64_t(file.size) - size) / kAlignment + 1;
      const ssize_t got = pread(file.number, buffer.get(), size, off_t((seed >> 20) % places * kAlignment));
      if (got == ssize_t(size))
        total += size;
      else
        failed = true;
    }
  };
  // Places differ from run to run: those of the run before may lie in a cache of the disk.
  const auto first = uint64_t(Clock::now().time_since_epoch().count());
  std::vector<std::thread> readers;
  try {
    for (int i = 0; i < kReaders; ++i) readers.emplace_back(read_on, first + uint64_t(i) * 0x9E3779B97F4A7C15u);
  } catch (const std::system_error&) {  // no more threads are allowed: those that run will do
  }
  for (std::thread& reader : readers) reader.join();
  const double taken = std::chrono::duration<double>(Clock::now() - start).count();
  return failed || readers.empty() || taken <= 0 ? 0 : double(total) / taken;
}

}  // namespace nemotron
