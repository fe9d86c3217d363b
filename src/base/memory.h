// How much memory the machine has, and what of it this process may still take.

#pragma once

#include <cstdint>

namespace nemotron {

// Bytes. What the system cannot say is 2^63 - 1.
uint64_t total_memory();
// Free memory and the page cache's, but no more than the control groups leave.
uint64_t available_memory();

}  // namespace nemotron
