// The four kinds of layer, each one forward over a list of segments.
//
// Law 2: the same function serves prefill, decode, evaluation and training. With `saved` the intermediates that a
// backward pass needs are handed out (they live in the arena until the caller rewinds it); without, they are scratch.

#pragma once

#include <span>

#include "base/read_ahead.h"
#include "model/config.h"
#include "model/state.h"
#include "model/weights.h"
#include "ops/ops.h"

namespace nemotron {

// What every forward needs and no layer owns.
struct Context {
  const Backend& ops;
  Threads& threads;
  Arena& arena;
  double dt_min =
      0;  // a lower bound of the Mamba time step; 0.001 reproduces transformers' torch path (spec/model.md 3.3)
  Activations activations = Activations::real;  // that NVFP4 weights are multiplied with
  ReadAhead* read_ahead = nullptr;              // of a model larger than memory; no bit of any result depends on it
};

// Where a layer finds its part of the state: the layer's number within it.
struct StateRef {
  State& state;
  size_t layer;
};

struct MambaSaved {
  Rows zxbcdt;   // [T, in_proj rows]: z | x B C before the convolution | dt
  Rows xbc;      // [T, CD] after convolution and SiLU
  Rows scanned;  // [T, D] output of the recurrence
  Rows normed;   // [T, D] after gate and norm
};

struct AttentionSaved {
  Rows q, k, v;  // [T, q*hd], [T, kv*hd], [T, kv*hd]
  Rows mixed;    // [T, q*hd] before o_proj
};

struct MoeSaved {
  Rows logits;  // [T, E] of the router
  Routes routes;
  std::span<const index> slots;  // [T, k] row of each pick in the rows below, which are sorted by expert
  Rows latent;                   // [T, X] input of the experts
  Rows up;                       // [T*k, I] after squared ReLU
  Rows down;                     // [T*k, X]
  Rows mixed;                    // [T, X] weighted sum
  Rows shared_up;                // [T, S] after squared ReLU; no rows without shared experts
};

struct MlpSaved {
  Rows up;  // [T, intermediate] after squared ReLU
};

// What each kind of mixer saves; for decltype only.
MambaSaved saved_by(const MambaWeights&);
AttentionSaved saved_by(const AttentionWeights&);
MoeSaved saved_by(const MoeWeights&);
MlpSaved saved_by(const MlpWeights&);

// out = mixer(h); h, out [T, H]. The state is moved on by the segments' rows (its positions by the caller, once for all
// layers).
void mamba_forward(Context&, const Config&, const MambaWeights&, Rows h, std::span<const Segment>, StateRef, Rows out,
                   MambaSaved* saved = nullptr);
void attention_forward(Context&, const Config&, const AttentionWeights&, Rows h, std::span<const Segment>, StateRef,
                       Rows out, AttentionSaved* saved = nullptr);
void moe_forward(Context&, const Config&, const MoeWeights&, Rows h, Rows out, MoeSaved* saved = nullptr);
void mlp_forward(Context&, const Config&, const MlpWeights&, Rows h, Rows out, MlpSaved* saved = nullptr);

// y = W x.
void linear(Context&, const Matrix& w, Rows x, Rows y);

}  // namespace nemotron
