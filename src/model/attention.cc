// Grouped-query attention without positions (spec/model.md 4).

#include "model/layers.h"

namespace nemotron {

void attention_forward(Context& ctx, const Config& c, const AttentionWeights& w, Rows h,
                       std::span<const Segment> segments, StateRef at, Rows out, AttentionSaved* saved) {
  const auto room = [&](index cols) { return ctx.arena.rows(ctx.ops.real, h.rows, cols); };
  const Rows q = room(c.query_width()), k = room(c.kv_width()), v = room(c.kv_width()), mixed = room(c.query_width());
  linear(ctx, w.q_proj, h, q);
  linear(ctx, w.k_proj, h, k);
  linear(ctx, w.v_proj, h, v);

  for (const Segment& s : segments) at.state.reserve(s.slot, s.size());
  const auto scale = [](const Vector& v1) { return v1.empty() ? 1.0f : v1[0]; };
  const std::vector<KvCache> caches = at.state.kv(at.layer, segments, scale(w.k_scale), scale(w.v_scale));
  const AttentionShape shape{c.num_attention_heads, c.num_key_value_heads, c.head_dim};
  ctx.ops.kv_store(ctx.threads, shape, k, v, segments, caches);
  ctx.ops.attention(ctx.threads, ctx.arena, shape, q, segments, caches, mixed);

  linear(ctx, w.o_proj, mixed, out);
  if (saved) *saved = {q, k, v, mixed};
}

}  // namespace nemotron
