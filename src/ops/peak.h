// The arithmetic limits of this processor: products that never leave the registers.

#pragma once

#include "base/threads.h"

namespace nemotron {

// Operations a second of all threads together, in the target in use; a multiplication and an addition are two. Each
// takes about 0.2 s.
double measure_fma_peak(Threads& threads);   // float32
double measure_int8_peak(Threads& threads);  // int8 with sums in int32, as NVFP4 weights are multiplied

}  // namespace nemotron
