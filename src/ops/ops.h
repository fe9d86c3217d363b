// The operations a model is made of, as a table of functions that each backend fills in.
//
// Law 1 binds every entry: row t of an output depends on row t of the inputs (and, for the ops that walk a sequence, on
// the rows before it), never on how many rows there are, how they are cut into calls, or how many threads run. So every
// sum has one order, stated here:
//   * a dot product keeps 16 sums, one for each k mod 16, each taken in ascending k with fused multiply-add; the sums
//   then meet
//     in a tree (k with k+8, k+4, k+2, k+1). Columns beyond the end count as zeros.
//   * NVFP4 weights with int8 activations: the products of a block of 16 columns sum to an exact integer; block b joins
//   sum b mod 16 in ascending b, one fused multiply-add of the integer and (block scale * activation scale, rounded
//   once); the sums meet in the same tree, and a total of -0 counts as +0.
//   * a matrix with k_segments S sums each of S equal runs of its columns so, and the runs in a binary tree.
//   * attention handles positions in pages of kPage, aligned to absolute positions. Within a page a score is one sum in
//   ascending
//     head_dim, a value one in ascending position, both with fused multiply-add; pages meet in ascending order within
//     a span of kSpan, spans in ascending order.
//   * expert outputs meet in a binary tree over expert numbers, empty subtrees skipped.
// The `ref` backend computes in double, in plain loops; the `cpu` backend in float32, with the same bits on every
// target.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace nemotron {

// What products with NVFP4 weights take their rows for: the backend's own numbers, or those rounded to int8 in blocks
// of 16 (Int8Block) where that is faster. Other formats always see the backend's own numbers.
enum class Activations : uint8_t { real, int8 };
// Whether a product with w rounds its rows: for NVFP4 of at least 256 columns, which the kernels take at a time; in
// narrower ones float32 is as fast.
bool takes_int8(const Matrix& w, Activations a);

// One run of rows of one sequence: rows begin .. end-1 of the batch are its next tokens.
struct Segment {
  index begin = 0, end = 0;
  int slot = 0;  // which sequence of the state
  index size() const { return end - begin; }
};

inline constexpr index kPage = 64;  // positions a page of keys and values
inline constexpr index kSpan = 8;   // pages that meet before they meet others
inline constexpr index kLanes = 16;
constexpr index round_up(index n, index to) { return (n + to - 1) / to * to; }

// How a cache of keys and values is stored: as the backend's own numbers, or rounded.
enum class KvFormat : uint8_t { real, bf16, fp8 };
// How a Mamba state rests between tokens: as the backend's own numbers, or FP16 with stochastic rounding after every
// token.
enum class SsmFormat : uint8_t { real, f16 };
size_t kv_size(KvFormat f, Real real);  // bytes an element
size_t ssm_size(SsmFormat f, Real real);

// Keys and values of one sequence in one layer. A page holds K [kv heads, head_dim, kPage] then V [kv heads, kPage,
// head_dim]: each as the product that reads it wants its right side, with what is summed over going down.
struct KvCache {
  std::byte* const* pages = nullptr;  // page b holds positions b*kPage ..
  KvFormat format = KvFormat::real;
  float k_scale = 1, v_scale = 1;  // fp8: value = code * scale
  index position = 0;              // of the segment's first row
};

// A Mamba state of one sequence in one layer: [heads, head_dim, round_up(ssm_state_size, 16)], padded with zeros.
struct SsmState {
  std::byte* data = nullptr;
  SsmFormat format = SsmFormat::real;
  // The noise of the rounding of element i (its flat index without padding) after position p is word i mod 4 of
  // philox4x32-5 with key = seed and counter = (i / 4, layer, low and high half of p).
  uint64_t seed = 0;
  uint32_t layer = 0;
  index position = 0;  // of the segment's first row
};

struct ScanShape {
  index heads, head_dim, groups, state_size;
};

struct AttentionShape {
  index heads, kv_heads, head_dim;
};

struct RouteShape {
  index experts, picks, groups, kept_groups;
  bool renormalize;
  double scale;
};

// The experts a batch picked: for each token its picks in ascending expert number.
struct Routes {
  std::span<int32_t> expert;  // [T, picks]
  Rows weight;                // [T, picks]
};

// One matrix applied to a run of rows.
struct Group {
  const Matrix* w;   // [N, K]
  index begin, end;  // rows of x and y
};

struct Backend {
  const char* name;
  Real real;  // what Rows are made of

  // y[t] = table[ids[t]]. Shapes: table [V, H], y [T, H].
  void (*embed)(Threads&, const Matrix& table, std::span<const int32_t> ids, Rows y);

  // y = x / sqrt(mean(x^2) + eps) * weight, over each of `groups` equal runs of the columns. x, y [T, C], weight [C].
  void (*rms_norm)(Threads&, Rows x, const Vector& weight, index groups, double eps, Rows y);

  // y = rms_norm(x * silu(gate)): the gate first, then the norm (spec/model.md 3, step 6). x, gate, y [T, C].
  void (*gated_rms_norm)(Threads&, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y);

  // y[t] = W x[t] for the rows of each group: a Linear, or many experts at once. x [T, K], y [T, N]; y must not overlap
  // x.
  void (*linear)(Threads&, Arena&, std::span<const Group> groups, Rows x, Rows y, Activations);

  // y += x. [T, C]
  void (*add)(Threads&, Rows x, Rows y);

  // x = max(x, 0)^2. [T, C]
  void (*relu2)(Threads&, Rows x);

  // y[t] = silu(bias + sum_j taps[.., j] x[t-K+1+j]): a causal convolution per channel. tails[s] [K-1, C] holds the
  // rows before segment s, oldest first, and is moved on. x, y [T, C], taps [C, K], bias [C] or empty.
  void (*causal_conv)(Threads&, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                      std::span<const Rows> tails, Rows y);

  // The Mamba-2 recurrence (spec/model.md 3, steps 4 and 5), with dt = max(softplus(dt + dt_bias), dt_min):
  //   S = exp(-exp(A_log) dt) S + dt x (outer) B;  y = S C + D x.
  // xbc [T, heads*head_dim + 2*groups*state]: x | B | C; dt [T, heads]; y [T, heads*head_dim]; states[s] is moved on.
  // With an FP16 state y sees the state before it is rounded.
  void (*ssm_scan)(Threads&, Arena&, const ScanShape&, Rows xbc, Rows dt, const Vector& A_log, const Vector& D,
                   const Vector& dt_bias, double dt_min, std::span<const Segment> segments,
                   std::span<const SsmState> states, Rows y);

  // Stores keys and values of the segments' rows at their positions. k, v [T, kv_heads*head_dim].
  void (*kv_store)(Threads&, const AttentionShape&, Rows k, Rows v, std::span<const Segment> segments,
                   std::span<const KvCache> caches);

  // Causal grouped-query attention over the caches, which already hold the segments' own rows; no positional encoding,
  // scale head_dim^-1/2. q, y [T, heads*head_dim].
  void (*attention)(Threads&, Arena&, const AttentionShape&, Rows q, std::span<const Segment> segments,
                    std::span<const KvCache> caches, Rows y);

  // Sigmoid scores of `logits` [T, E], the best `picks` by score + bias among the best groups, ties to the lower number
  // (spec/model.md 5.1, 5.2), and their weights: score, divided by (sum + 1e-20) if renormalize, times scale.
  void (*route)(Threads&, const RouteShape&, Rows logits, const Vector& bias, Routes routes);

  // y[t] = sum over the picks j of routes.weight[t, j] * x[rows[t, j]]. x [slots, C], rows [T, picks], y [T, C].
  void (*combine)(Threads&, index experts, const Routes& routes, std::span<const index> rows, Rows x, Rows y);

  // y[t] = x[rows[t]].
  void (*gather)(Threads&, std::span<const index> rows, Rows x, Rows y);
};

// Plain loops in double: what each op means.
const Backend& ref_backend();

// Highway kernels in float32 for the target in use.
const Backend& cpu_backend();

// SIMD targets of the cpu backend that this processor can run, best first, and the one in use.
std::vector<std::string> cpu_targets();
std::string cpu_target();
// Makes `name` the target in use. Throws Error listing the choices when it is unknown or cannot run here. Not
// thread-safe: called once at start, or by tests between calls.
void set_cpu_target(const std::string& name);

}  // namespace nemotron
