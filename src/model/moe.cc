// Mixture of experts, in the full width or in a latent one (spec/model.md 5), and the dense MLP.

#include <numeric>

#include "model/footprint.h"
#include "model/layers.h"

namespace nemotron {
namespace {

// Rows of the picks, sorted by expert: rows first[e] .. first[e+1] belong to expert e.
struct Dispatch {
  std::vector<index> first;   // [E+1]
  std::span<index> slots;     // [T, k]: the row of each pick
  std::vector<index> tokens;  // [T*k]: the token of each row
};

Dispatch dispatch(Arena& arena, const Routes& routes, index experts, index T, index picks) {
  Dispatch d{std::vector<index>(size_t(experts + 1)),
             {arena.array<index>(size_t(T * picks)), size_t(T * picks)},
             std::vector<index>(size_t(T * picks))};
  for (const int32_t e : routes.expert) ++d.first[size_t(e) + 1];
  std::partial_sum(d.first.begin(), d.first.end(), d.first.begin());
  std::vector<index> next(d.first.begin(), d.first.end() - 1);
  for (size_t i = 0; i < d.slots.size(); ++i) {
    d.slots[i] = next[size_t(routes.expert[i])]++;
    d.tokens[size_t(d.slots[i])] = index(i) / picks;
  }
  return d;
}

// The picked experts, each on its own rows.
struct Picked {
  std::vector<Group> ups, downs;

  Picked(const MoeWeights& w, const Dispatch& order) {
    for (size_t e = 0; e < w.experts.size(); ++e) {
      if (order.first[e] == order.first[e + 1]) continue;
      ups.push_back({&w.experts[e].up_proj, order.first[e], order.first[e + 1]});
      downs.push_back({&w.experts[e].down_proj, order.first[e], order.first[e + 1]});
    }
  }
  size_t size() const { return ups.size(); }
};

// Asks for the experts from `begin` on, as many as are computed at once; returns the first that is left.
size_t ask_ahead(ReadAhead& ahead, const Picked& picked, size_t begin) {
  uint64_t bytes = 0;
  size_t end = begin;
  for (; end < picked.size() && (end == begin || bytes < ahead.at_once); ++end) {
    for (const Matrix* w : {picked.ups[end].w, picked.downs[end].w}) {
      add(ahead, *w);
      bytes += matrix_bytes(*w);
    }
  }
  ahead.ask();
  return end;
}

// down = down_proj relu2(up_proj input), for the experts begin .. end. Rows [T*k, X], [T*k, I], [T*k, X] of all
// experts.
void compute(Context& ctx, const Picked& picked, size_t begin, size_t end, Rows input, Rows up, Rows down) {
  const index first = picked.ups[begin].begin, last = picked.ups[end - 1].end;
  const auto part = [&](Rows rows) { return rows.row_range(first, last); };
  const auto groups = [&](const std::vector<Group>& of) {
    std::vector<Group> out(of.begin() + ptrdiff_t(begin), of.begin() + ptrdiff_t(end));
    for (Group& g : out) g.begin -= first, g.end -= first;
    return out;
  };
  ctx.ops.linear(ctx.threads, ctx.arena, groups(picked.ups), part(input), part(up), ctx.activations);
  ctx.ops.relu2(ctx.threads, part(up));
  ctx.ops.linear(ctx.threads, ctx.arena, groups(picked.downs), part(up), part(down), ctx.activations);
}

}  // namespace

void linear(Context& ctx, const Matrix& w, Rows x, Rows y) {
  const Group all{&w, 0, x.rows};
  ctx.ops.linear(ctx.threads, ctx.arena, {&all, 1}, x, y, ctx.activations);
}

void moe_forward(Context& ctx, const Config& c, const MoeWeights& w, Rows h, Rows out, MoeSaved* saved) {
  const index T = h.rows, E = c.n_routed_experts, picks = c.num_experts_per_tok, X = c.expert_width();
  const auto room = [&](index rows, index cols) { return ctx.arena.rows(ctx.ops.real, rows, cols); };

  // The router reads the full width, whatever the experts read.
  const Rows logits = room(T, E);
  linear(ctx, w.gate, h, logits);
  const Routes routes{{ctx.arena.array<int32_t>(size_t(T * picks)), size_t(T * picks)}, room(T, picks)};
  const RouteShape shape{E, picks, c.n_group, c.topk_group, c.norm_topk_prob, c.routed_scaling_factor};
  ctx.ops.route(ctx.threads, shape, logits, w.e_score_correction_bias, routes);
  const Dispatch order = dispatch(ctx.arena, routes, E, T, picks);
  const Picked picked(w, order);
  size_t end = ctx.read_ahead ? ask_ahead(*ctx.read_ahead, picked, 0) : picked.size();

  Rows latent = h;
  if (c.moe_latent_size) {
    latent = room(T, X);
    linear(ctx, w.fc1_latent_proj, h, latent);
  }
  const Rows input = room(T * picks, X), up = room(T * picks, c.moe_intermediate_size), down = room(T * picks, X);
  ctx.ops.gather(ctx.threads, order.tokens, latent, input);
  for (size_t begin = 0; begin < picked.size();) {
    const size_t next = ctx.read_ahead ? ask_ahead(*ctx.read_ahead, picked, end) : end;
    compute(ctx, picked, begin, end, input, up, down);
    begin = end, end = next;
  }

  const Rows mixed = c.moe_latent_size ? room(T, X) : out;
  ctx.ops.combine(ctx.threads, E, routes, order.slots, down, mixed);
  if (c.moe_latent_size) linear(ctx, w.fc2_latent_proj, mixed, out);

  Rows shared_up = room(0, 0);
  if (c.n_shared_experts) {
    shared_up = room(T, c.moe_shared_expert_intermediate_size);
    const Rows shared = room(T, c.hidden_size);
    linear(ctx, w.shared_up_proj, h, shared_up);
    ctx.ops.relu2(ctx.threads, shared_up);
    linear(ctx, w.shared_down_proj, shared_up, shared);
    ctx.ops.add(ctx.threads, shared, out);
  }
  if (saved) *saved = {logits, routes, order.slots, latent, up, down, mixed, shared_up};
}

void mlp_forward(Context& ctx, const Config& c, const MlpWeights& w, Rows h, Rows out, MlpSaved* saved) {
  const Rows up = ctx.arena.rows(ctx.ops.real, h.rows, c.intermediate_size);
  linear(ctx, w.up_proj, h, up);
  ctx.ops.relu2(ctx.threads, up);
  linear(ctx, w.down_proj, up, out);
  if (saved) *saved = {up};
}

}  // namespace nemotron
