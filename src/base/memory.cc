// Memory as Linux tells it: /proc/meminfo and the control group.

#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace nemotron {
namespace {

constexpr uint64_t kUnknown = uint64_t(std::numeric_limits<int64_t>::max());

// The number after a name, of a file with a line for each, like "MemTotal: 24576 kB".
uint64_t line_in(const char* path, const std::string& line) {
  std::ifstream file(path);
  std::string name, rest;
  for (uint64_t value; file >> name >> value; std::getline(file, rest))
    if (name == line) return value;
  return kUnknown;
}
uint64_t meminfo(const std::string& field) {
  const uint64_t kib = line_in("/proc/meminfo", field + ":");
  return kib == kUnknown ? kib : kib * 1024;
}

// The one number in a file; a limit of "max" is none.
uint64_t number_in(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : kUnknown;
}

// What a control group leaves, its page cache counted as free.
uint64_t group_left() {
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  const uint64_t cached = line_in("/sys/fs/cgroup/memory.stat", "file");
  const uint64_t held = used - std::min(used, cached == kUnknown ? 0 : cached);
  return limit - std::min(held, limit);
}

}  // namespace

uint64_t total_memory() { return std::min(meminfo("MemTotal"), number_in("/sys/fs/cgroup/memory.max")); }

uint64_t available_memory() { return std::min(meminfo("MemAvailable"), group_left()); }

}  // namespace nemotron
