// What is said of a model that is larger than memory: how much of it is read from disk for a token, and how long that
// takes.

#pragma once

#include <cstdint>
#include <string>

#include "model/footprint.h"

namespace nemotron {

// The share of the available memory that mapped weights may count on; the rest is for states, caches and buffers.
inline constexpr double kWeightShare = 0.9;

struct DiskDemand {
  bool common_fits = false;  // the weights that every token reads stay in memory
  double expert_share = 0;   // of the bytes of experts, that stay in memory beside them
  double token_bytes = 0;    // read from disk for a token, where experts are picked evenly
};

// `room`: bytes of memory for weights. Weights that every token reads have precedence over experts; where they do not
// fit, reading them in turn leaves none of them in memory when its turn comes again.
DiskDemand disk_demand(const Footprint& footprint, uint64_t room);

// One line, with the speed that the disk allows; computing comes on top. `weights` and `memory` in bytes, `disk` in
// bytes a second, 0 where that is not known.
std::string larger_than_memory(const DiskDemand& demand, const Footprint& footprint, uint64_t weights, uint64_t memory,
                               double disk);

}  // namespace nemotron
