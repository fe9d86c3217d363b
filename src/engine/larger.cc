// The arithmetic and the words of a model that is larger than memory.

#include "engine/larger.h"

#include <fmt/format.h>

#include <algorithm>

namespace nemotron {
namespace {

std::string size_text(double bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  if (bytes >= kGiB) return fmt::format("{:.1f} GiB", bytes / kGiB);
  return fmt::format("{:.{}f} MiB", bytes / kMiB, bytes < 10 * kMiB ? 1 : 0);
}

// Two digits: more would promise too much.
std::string rate_text(double rate) {
  return rate < 0.1 ? fmt::format("{:.1g}", rate) : fmt::format("{:.{}f}", rate, rate < 10 ? 1 : 0);
}

}  // namespace

DiskDemand disk_demand(const Footprint& f, uint64_t room) {
  DiskDemand d;
  d.common_fits = f.common_bytes <= room;
  const uint64_t left = d.common_fits ? room - f.common_bytes : 0;
  if (f.expert_bytes > 0) d.expert_share = std::min(1.0, double(left) / double(f.expert_bytes));
  d.token_bytes = double(f.picked_bytes) * (1 - d.expert_share) + (d.common_fits ? 0 : double(f.common_bytes));
  return d;
}

std::string larger_than_memory(const DiskDemand& d, const Footprint& f, uint64_t weights, uint64_t memory,
                               double disk) {
  std::string out = fmt::format("the weights ({}) are larger than the available memory ({})",
                                size_text(double(weights)), size_text(double(memory)));
  if (f.expert_bytes > 0) {
    out += fmt::format(
        ": experts are read from disk as they are picked, {} of them for a token, of which memory holds {:.0f} %",
        size_text(double(f.picked_bytes)), 100 * d.expert_share);
  }
  if (!d.common_fits) {
    out += fmt::format("; the other weights ({}) do not fit either and are read for every token",
                       size_text(double(f.common_bytes)));
  }
  if (disk <= 0) return out + "; how fast that is cannot be told here, as the disk's speed could not be measured";
  if (d.token_bytes <= 0) return out + "; what a token reads fits";
  return out + fmt::format("; expect at most about {} tokens/s from a disk of {}/s", rate_text(disk / d.token_bytes),
                           size_text(disk));
}

}  // namespace nemotron
