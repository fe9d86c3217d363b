// The forward: embed, one mixer a layer on the residual stream, final norm; and the MTP block on top.

#include "model/model.h"

#include <cstring>
#include <optional>
#include <string>

#include "base/error.h"
#include "model/footprint.h"

namespace nemotron {
namespace {

void check_ids(const Config& c, std::span<const int32_t> ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < c.vocab_size) continue;
    throw Error({.what = "token id out of range",
                 .where = "token " + std::to_string(i),
                 .expected = "0 to " + std::to_string(c.vocab_size - 1),
                 .found = std::to_string(ids[i])});
  }
}

void embed(Context& ctx, const Model& model, std::span<const int32_t> ids, Rows x) {
  if (ctx.read_ahead) {
    add_rows(*ctx.read_ahead, model.weights.embeddings, ids);
    ctx.read_ahead->ask();
  }
  ctx.ops.embed(ctx.threads, model.weights.embeddings, ids, x);
}

void mixer_forward(Context& ctx, const Config& c, const LayerWeights& w, Rows h, std::span<const Segment> segments,
                   StateRef at, Rows out, LayerSaved* saved) {
  std::visit(
      [&](const auto& mixer) {
        using Mixer = std::decay_t<decltype(mixer)>;
        auto* part = saved ? &saved->mixer.emplace<decltype(saved_by(mixer))>() : nullptr;
        if constexpr (std::is_same_v<Mixer, MambaWeights>)
          mamba_forward(ctx, c, mixer, h, segments, at, out, part);
        else if constexpr (std::is_same_v<Mixer, AttentionWeights>)
          attention_forward(ctx, c, mixer, h, segments, at, out, part);
        else if constexpr (std::is_same_v<Mixer, MoeWeights>)
          moe_forward(ctx, c, mixer, h, out, part);
        else
          mlp_forward(ctx, c, mixer, h, out, part);
      },
      w.mixer);
}

// x += mixer(norm(x)) for each layer in turn. What the next layer, and the head after the last, is going to read is
// asked for while this one computes.
void stack_forward(Context& ctx, const Config& c, const std::vector<LayerWeights>& layers, const Matrix& head, Rows x,
                   std::span<const Segment> segments, State& state, Saved* saved) {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (ctx.read_ahead && ctx.read_ahead->wants_common()) {
      if (i == 0) add_common(*ctx.read_ahead, layers[0]);
      if (i + 1 < layers.size())
        add_common(*ctx.read_ahead, layers[i + 1]);
      else
        add(*ctx.read_ahead, head);
      ctx.read_ahead->ask();
    }
    std::optional<Scratch> scratch;
    LayerSaved* part = nullptr;
    if (saved) {
      part = &saved->layers.emplace_back();
      part->x = ctx.arena.rows(x.real, x.rows, x.cols);
      std::memcpy(part->x.data, x.data, size_t(x.rows * x.cols) * real_size(x.real));
    } else {
      scratch.emplace(ctx.arena);
    }
    const Rows h = ctx.arena.rows(x.real, x.rows, x.cols), out = ctx.arena.rows(x.real, x.rows, x.cols);
    ctx.ops.rms_norm(ctx.threads, x, layers[i].norm, 1, c.layer_norm_epsilon, h);
    mixer_forward(ctx, c, layers[i], h, segments, {state, i}, out, part);
    ctx.ops.add(ctx.threads, out, x);
    if (part) part->normed = h;
  }
  state.advance(segments);
}

}  // namespace

State make_state(const Config& config, const StateFormat& format) { return State(config, config.layers, format); }

State make_mtp_state(const Config& config, const StateFormat& format) {
  return State(config, config.mtp_layers, format, uint32_t(config.layers.size()));
}

Rows forward(Context& ctx, const Model& model, std::span<const int32_t> ids, std::span<const Segment> segments,
             State* state, Saved* saved) {
  const Config& c = model.config;
  check_ids(c, ids);
  if (!state) {
    State own = make_state(c, {.real = ctx.ops.real});
    std::vector<Segment> renumbered(segments.begin(), segments.end());
    for (Segment& s : renumbered) s.slot = own.add();
    return forward(ctx, model, ids, renumbered, &own, saved);
  }
  const Rows x = ctx.arena.rows(ctx.ops.real, index(ids.size()), c.hidden_size);
  embed(ctx, model, ids, x);
  stack_forward(ctx, c, model.weights.layers, model.weights.lm_head, x, segments, *state, saved);
  if (!saved) {
    ctx.ops.rms_norm(ctx.threads, x, model.weights.norm_f, 1, c.layer_norm_epsilon, x);
    return x;
  }
  saved->x = x;
  const Rows hidden = ctx.arena.rows(x.real, x.rows, x.cols);
  ctx.ops.rms_norm(ctx.threads, x, model.weights.norm_f, 1, c.layer_norm_epsilon, hidden);
  return hidden;
}

Rows logits(Context& ctx, const Model& model, Rows hidden) {
  const Rows out = ctx.arena.rows(ctx.ops.real, hidden.rows, model.config.vocab_size);
  linear(ctx, model.weights.lm_head, hidden, out);
  return out;
}

Rows mtp_forward(Context& ctx, const Model& model, Rows hidden, std::span<const int32_t> next_ids,
                 std::span<const Segment> segments, State& state) {
  const Config& c = model.config;
  const MtpWeights& w = *model.weights.mtp;
  const index T = hidden.rows, H = c.hidden_size;
  check_ids(c, next_ids);
  const Rows x = ctx.arena.rows(ctx.ops.real, T, H);
  {
    const Scratch scratch(ctx.arena);
    const Rows embedded = ctx.arena.rows(ctx.ops.real, T, H), both = ctx.arena.rows(ctx.ops.real, T, 2 * H);
    embed(ctx, model, next_ids, embedded);
    ctx.ops.rms_norm(ctx.threads, embedded, w.enorm, 1, c.layer_norm_epsilon, both.col_range(0, H));
    ctx.ops.rms_norm(ctx.threads, hidden, w.hnorm, 1, c.layer_norm_epsilon, both.col_range(H, 2 * H));
    linear(ctx, w.eh_proj, both, x);
  }
  stack_forward(ctx, c, w.layers, model.weights.lm_head, x, segments, state, nullptr);
  ctx.ops.rms_norm(ctx.threads, x, w.final_layernorm, 1, c.layer_norm_epsilon, x);
  return x;
}

}  // namespace nemotron
