// The arithmetic of a plan: what a model keeps in memory, what a token costs, and how fast a machine's limits allow it
// to be. Nothing is executed.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/architecture.h"
#include "plan/machines.h"

namespace nemotron {

// How caches and states are stored.
struct CacheFormats {
  NumberFormat kv = NumberFormat::bf16;
  NumberFormat state = NumberFormat::f32;
  NumberFormat conv = NumberFormat::bf16;
  bool all_columns = true;  // a convolution of K taps keeps K columns, as deployments do; otherwise K - 1, as we do
};

struct Workload {
  uint64_t context = 8192;        // tokens of each sequence
  uint64_t batch = 1;             // sequences
  uint64_t prefill_chunk = 8192;  // tokens of a prompt that go through the model at once
  CacheFormats formats;
  bool with_mtp = true;  // the MTP block is held in memory; it is never computed here
};

// ---- memory ----

// Keys and values of one sequence of `context` tokens, sliding windows counted.
Count kv_bytes(const Architecture& a, NumberFormat kv, uint64_t context);
// What a token adds beyond all windows.
Count kv_bytes_a_token(const Architecture& a, NumberFormat kv);
// States and convolution columns of one sequence.
Count state_bytes(const Architecture& a, const CacheFormats& f);

struct Memory {
  Count weights, kv, state;  // of all sequences
  Count activations;         // scratch of a prefill chunk, and logits
  Count program;             // of our own engine: all that is none of the others; see plan/resident.h
  Count total() const { return weights + kv + state + activations + program; }
};

// On a machine whose program is not ours: activations in 16 bits, logits in float32.
Memory deployment_memory(const Architecture& a, const Workload& w);

// ---- time ----

// One pass of the model over some tokens of each sequence.
struct Work {
  double tokens = 0;        // that go through it
  double matrix_flops = 0;  // products with weights
  double attention_flops = 0, recurrent_flops = 0;
  double weight_bytes = 0;  // read
  double cache_bytes = 0;   // keys and values, read and written
  double state_bytes = 0;   // read and written
  double seconds_compute = 0, seconds_memory = 0;

  double flops() const { return matrix_flops + attention_flops + recurrent_flops; }
  double bytes() const { return weight_bytes + cache_bytes + state_bytes; }
  double seconds() const { return seconds_compute > seconds_memory ? seconds_compute : seconds_memory; }
  bool compute_bound() const { return seconds_compute >= seconds_memory; }
  Work& operator+=(const Work& other);  // one after the other
};

// Distinct experts that `tokens` tokens touch under uniform routing: E (1 - (1 - k/E)^tokens).
double distinct_experts(uint64_t experts, uint64_t picks, double tokens);

// One decode step of w.batch sequences, each with w.context tokens behind it.
Work decode_step(const Architecture& a, const Workload& w, const Machine& m);
// The prompts of w.batch sequences of w.context tokens, chunk by chunk; the head is computed once a sequence. `seconds`
// is the sum over chunks of the larger of the two.
struct Prefill {
  Work work;
  double seconds = 0;
};
Prefill prefill(const Architecture& a, const Workload& w, const Machine& m);

// The batch from which a decode step takes longer to compute than to read; nothing where each sequence's own cache and
// state take longer to read than its arithmetic.
std::optional<uint64_t> compute_bound_batch(const Architecture& a, const Workload& w, const Machine& m);

// The most sequences of w.context tokens that fit beside the weights; 0: not one. `memory` says what is taken.
using MemoryOf = std::function<Memory(const Architecture&, const Workload&)>;
uint64_t largest_batch(const Architecture& a, const Workload& w, double capacity,
                       const MemoryOf& memory = deployment_memory);
// The longest context at which w.batch sequences fit; 0: none.
uint64_t longest_context(const Architecture& a, const Workload& w, double capacity,
                         const MemoryOf& memory = deployment_memory);

// `count` machines as one: capacities, bandwidths and peaks add up, and nothing is lost between them.
Machine times(const Machine& m, uint64_t count);

// ---- caches of two models ----

// Contexts at which the caches of two models are equal, ascending; each exact. `a_smaller_after` says which is smaller
// beyond it.
struct Crossing {
  double context = 0;
  bool a_smaller_after = false;
};
struct CacheFormatsOfTwo {
  NumberFormat kv = NumberFormat::bf16;
  CacheFormats a, b;                    // of the states
  bool count_a = true, count_b = true;  // whether a's and b's states count
};
std::vector<Crossing> crossings(const Architecture& a, const Architecture& b, const CacheFormatsOfTwo& f);

}  // namespace nemotron
