// A loaded model and its forward: tokens in, hidden states and logits out.

#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "model/config.h"
#include "model/layers.h"
#include "model/state.h"
#include "model/weights.h"

namespace nemotron {

struct Model {
  Config config;
  Weights weights;
  std::shared_ptr<const void> storage;           // the mapped files that the matrices look into
  std::vector<std::span<const uint8_t>> mapped;  // their bytes
  std::vector<std::filesystem::path> files;      // and their names
};

// Intermediates of one layer, for a backward pass.
struct LayerSaved {
  Rows x;       // [T, H] the residual stream before the layer
  Rows normed;  // [T, H] its norm: the mixer's input
  std::variant<MambaSaved, AttentionSaved, MoeSaved, MlpSaved> mixer;
};

struct Saved {
  std::vector<LayerSaved> layers;
  Rows x;  // [T, H] the residual stream after the last layer
};

// A state for the model's layers, and one for its MTP block.
State make_state(const Config& config, const StateFormat& format);
State make_mtp_state(const Config& config, const StateFormat& format);

// The hidden states [T, H] after norm_f of `ids`, rows of the segments in order; they live in ctx.arena. Row t depends
// on its own sequence alone, bit for bit (law 1). `state` is moved on; null starts every segment at position 0 and
// keeps nothing. With `saved` every layer's intermediates stay in the arena; without, the arena holds only the result.
// Throws Error for a token id outside the vocabulary; segments must tile the rows.
Rows forward(Context& ctx, const Model& model, std::span<const int32_t> ids, std::span<const Segment> segments,
             State* state, Saved* saved = nullptr);

// lm_head. hidden [T, H] -> logits [T, V], in ctx.arena.
Rows logits(Context& ctx, const Model& model, Rows hidden);

// The MTP block (spec/model.md 7): for each row the hidden state h_p [T, H] (the model's after norm_f, or the m of the
// depth before) and the next token t_{p+1}; returns m [T, H], of which `logits` are the draft for t_{p+2}. The model
// must have the block.
Rows mtp_forward(Context& ctx, const Model& model, Rows hidden, std::span<const int32_t> next_ids,
                 std::span<const Segment> segments, State& state);

}  // namespace nemotron
