// Machines: memory, bandwidth and dense peaks, as their makers publish them or as this one measures.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "plan/architecture.h"

namespace nemotron {

struct Machine {
  std::string name;                   // "H100"
  std::string title;                  // "NVIDIA H100 SXM"
  std::string source;                 // of its figures
  std::string note;                   // what was derived, or is not published
  double capacity = 0;                // bytes that a model may take
  double bandwidth = 0;               // bytes a second
  double bf16 = 0, fp8 = 0, fp4 = 0;  // dense operations a second with wider sums; 0: no such unit
  bool own = false;                   // this machine, running this program
  int threads = 0;                    // of this machine: measured with so many
  double memory = 0;                  // of this machine: all there is, in bytes

  // The peak for matrices stored so. Without a unit for the format the numbers are widened and multiplied in 16 bits;
  // MXFP4 weights meet 8-bit activations where there are FP4 units.
  double peak(NumberFormat weights) const;
};

const std::vector<Machine>& machines();
std::optional<Machine> find_machine(std::string_view name);  // in any capitals, with or without spaces and dashes

// Measures this machine in about a second: streaming reads of a buffer beyond the caches, and products in registers, on
// all threads. Its `bf16` is the rate of float32, its `fp4` that of int8, in which we multiply NVFP4 weights.
Machine measure_this_machine(Threads& threads);

}  // namespace nemotron
