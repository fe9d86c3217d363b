// What the control groups of this process allow it: memory, and processor time.

#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

namespace nemotron {

struct ControlGroups {
  static constexpr uint64_t kNoLimit = uint64_t(std::numeric_limits<int64_t>::max());

  uint64_t memory = kNoLimit;  // bytes: the least limit of the group and its parents
  uint64_t left = kNoLimit;    // bytes that the tightest of them leaves, the page cache of files
                               // counted as free: the system takes it back before it kills
  double cpus = std::numeric_limits<double>::infinity();  // processors' worth of time, by the least quota
};

// Reads both versions of control groups. `list` names the process's own groups, `mount` is where they lie. What cannot
// be read is no limit.
ControlGroups control_groups(const std::filesystem::path& list = "/proc/self/cgroup",
                             const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace nemotron
