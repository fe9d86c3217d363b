// Control groups as files: version 1 has a tree for each controller, version 2 one for all.

#include "base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace nemotron {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kNoLimit = ControlGroups::kNoLimit;

// The number a file begins with. "max" is none, nor is what version 1 writes where nothing is limited: nearly 2^63.
uint64_t number_in(const fs::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value && value < kNoLimit / 2 ? value : kNoLimit;
}

// The pages of files, by the lines of memory.stat. Those of shared memory are not among them: they cannot be dropped.
uint64_t cached(const fs::path& stat, const std::string& prefix) {
  std::ifstream file(stat);
  std::string name;
  uint64_t sum = 0;
  for (uint64_t value; file >> name >> value;)
    if (name == prefix + "inactive_file" || name == prefix + "active_file") sum += std::min(value, kNoLimit / 4);
  return sum;
}

void take_memory(ControlGroups& out, const fs::path& limit_file, const fs::path& used_file, uint64_t cache) {
  const uint64_t limit = number_in(limit_file), used = number_in(used_file);
  out.memory = std::min(out.memory, limit);
  if (limit == kNoLimit || used == kNoLimit) return;
  const uint64_t held = used - std::min(used, cache);
  out.left = std::min(out.left, limit - std::min(held, limit));
}

void take_time(ControlGroups& out, double quota, double period) {
  if (quota > 0 && period > 0) out.cpus = std::min(out.cpus, quota / period);
}

void read_version_2(ControlGroups& out, const fs::path& group) {
  take_memory(out, group / "memory.max", group / "memory.current", cached(group / "memory.stat", ""));
  std::ifstream file(group / "cpu.max");
  double quota = 0, period = 0;
  if (file >> quota >> period) take_time(out, quota, period);  // "max 100000" is no number
}

void read_memory_1(ControlGroups& out, const fs::path& group) {
  take_memory(out, group / "memory.limit_in_bytes", group / "memory.usage_in_bytes",
              cached(group / "memory.stat", "total_"));
}

void read_cpu_1(ControlGroups& out, const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us"), period_file(group / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (quota_file >> quota && period_file >> period) take_time(out, quota, period);  // -1 is none
}

// Reads a group and all above it. A container may see only the root, and there what holds for it.
template <class Read>
void walk_up(ControlGroups& out, const fs::path& root, const fs::path& group, Read read) {
  fs::path path = group.relative_path();
  if (std::find(path.begin(), path.end(), "..") != path.end()) path.clear();
  for (; !path.empty(); path = path.parent_path()) read(out, root / path);
  read(out, root);
}

bool names(const std::string& controllers, const std::string& one) {
  return ("," + controllers + ",").find("," + one + ",") != std::string::npos;
}

}  // namespace

ControlGroups control_groups(const fs::path& list, const fs::path& mount) {
  ControlGroups out;
  std::ifstream file(list);
  for (std::string line; std::getline(file, line);) {  // "4:memory:/a/b", "0::/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      walk_up(out, mount, group, read_version_2);
      walk_up(out, mount / "unified", group, read_version_2);
    }
    if (names(controllers, "memory")) walk_up(out, mount / "memory", group, read_memory_1);
    if (names(controllers, "cpu")) walk_up(out, mount / "cpu", group, read_cpu_1);
  }
  return out;
}

}  // namespace nemotron
