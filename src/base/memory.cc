// Memory as Linux tells it: /proc/meminfo and the control groups.

#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/cgroup.h"

namespace nemotron {
namespace {

constexpr uint64_t kUnknown = ControlGroups::kNoLimit;

// The number after a name, of a file with a line for each, like "MemTotal: 24576 kB".
uint64_t meminfo(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  std::string name, rest;
  for (uint64_t value; file >> name >> value; std::getline(file, rest))
    if (name == field + ":") return value * 1024;
  return kUnknown;
}

}  // namespace

uint64_t total_memory() { return std::min(meminfo("MemTotal"), control_groups().memory); }

uint64_t available_memory() { return std::min(meminfo("MemAvailable"), control_groups().left); }

}  // namespace nemotron
