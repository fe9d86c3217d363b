// The limits of this machine, measured: reads that no cache serves, products that never leave the registers.

#pragma once

#include <cstdint>

#include "base/threads.h"

namespace nemotron {

// Operations a second of all threads together, in the target in use; a multiplication and an addition are two. Each
// takes about 0.2 s.
double measure_fma_peak(Threads& threads);   // float32
double measure_int8_peak(Threads& threads);  // int8 with sums in int32, as NVFP4 weights are multiplied

// Bytes a second that all threads together read: the best of some streaming reads of a buffer of 256 MiB to 1 GiB, four
// times the last cache where that is in between, but no more than a quarter of the memory that is free; about 0.5 s.
// `clock` gives seconds: one thread on a machine that others keep busy may be measured by its own time.
double wall_seconds();
double measure_bandwidth(Threads& threads, double (*clock)() = wall_seconds);

// The same of a buffer of `bytes`, read again and again for about 0.2 s: from a cache, where one holds it.
double measure_bandwidth_of(Threads& threads, uint64_t bytes);
uint64_t last_cache();  // bytes; 0 where the system does not say

}  // namespace nemotron
