// What this program itself takes in memory when it loads a model and fills a context: a promise, so counted
// allocation by allocation. tests/cli/plan_test.cc holds it against the measured size.

#pragma once

#include "model/config.h"
#include "plan/plan.h"

namespace nemotron {

struct Resident {
  Config config;
  uint64_t headers = 0;    // bytes of the mapped weight files that are no tensor
  uint64_t tensors = 0;    // of the folder
  uint64_t tokenizer = 0;  // bytes of tokenizer.json; 0: none
  uint64_t program = 0;    // bytes of the mapped program and its libraries
  int threads = 1;
};

// The peak of the resident size. w.batch sequences go through the model side by side, w.prefill_chunk tokens of each at
// a time. Weights are all of the mapped files: the engine brings them in in the background.
Memory resident_memory(const Resident& r, const Architecture& a, const Workload& w);

// Bytes of the files mapped in this process: before anything else is, the program and its libraries.
uint64_t program_size();

}  // namespace nemotron
