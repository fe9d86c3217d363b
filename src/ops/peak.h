// The arithmetic limit of this processor: float32 multiply-adds that never leave the registers.

#pragma once

#include "base/threads.h"

namespace nemotron {

// Operations a second (a multiply-add counts as two) of all threads together, in the target in use; takes about 0.2 s.
double measure_fma_peak(Threads& threads);

}  // namespace nemotron
