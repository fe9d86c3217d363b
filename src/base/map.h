// Files from outside: read in pieces, mapped into memory, and replaced in one step.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace nemotron {

// Whether anything is there; what cannot be looked up (a name too long, a folder that may not be read) is not.
bool path_exists(const std::filesystem::path& path);

// Bytes of a file, or zeros, that stay where they are for the life of the object. Nothing is read before it is touched.
class Map {
 public:
  Map() = default;
  Map(Map&& other) noexcept { swap(other); }
  Map& operator=(Map&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Map();

  static Map zeros(size_t size);  // read-only zeros that take no memory; throws std::bad_alloc

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  friend class File;
  void swap(Map& other) noexcept;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// A regular file open for reading. Everything throws Error naming the path.
class File {
 public:
  explicit File(std::filesystem::path path);  // refuses what is no regular file, without waiting for pipes
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }

  // Exactly `count` bytes from `offset`, and no read-ahead beyond them.
  void read(uint64_t offset, void* out, size_t count) const;
  Map map() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// A whole file of at most `limit` bytes; a larger one is refused before memory is taken.
std::string read_file(const std::filesystem::path& path, uint64_t limit);

// A file being written. A regular file appears under its name, whole, when `commit` returns; before that, and if
// anything fails, the old one stays and no part of the new one is left. A device or a pipe is written directly.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, size_t count);
  void add_hole(uint64_t count);  // zeros at the end that take no place on disk; regular files only

  // Writes past the system's cache from here on, or no longer. A file of gigabytes is then written at the speed of the
  // disk, and pushes nothing else out of memory. While it is on, addresses and counts are multiples of kDirect. Where
  // the file system cannot, nothing changes.
  void direct(bool on);
  static constexpr size_t kDirect = 4096;

  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;
  std::filesystem::path path_, temporary_;  // temporary_ is empty when the path is written directly
  int descriptor_ = -1;
  bool direct_ = false;
};

}  // namespace nemotron
