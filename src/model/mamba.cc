// The Mamba-2 mixer (spec/model.md 3).

#include "model/layers.h"

namespace nemotron {

void mamba_forward(Context& ctx, const Config& c, const MambaWeights& w, Rows h, std::span<const Segment> segments,
                   StateRef at, Rows out, MambaSaved* saved) {
  const index T = h.rows, D = c.mamba_inner(), CD = c.conv_channels();
  const auto room = [&](index cols) { return ctx.arena.rows(ctx.ops.real, T, cols); };

  const Rows zxbcdt = room(c.in_proj_rows());
  linear(ctx, w.in_proj, h, zxbcdt);
  const Rows z = zxbcdt.col_range(0, D), before = zxbcdt.col_range(D, D + CD),
             dt = zxbcdt.col_range(D + CD, zxbcdt.cols);

  const Rows xbc = room(CD);
  const std::vector<Rows> tails = at.state.conv_tails(at.layer, segments);
  ctx.ops.causal_conv(ctx.threads, before, w.conv_weight, w.conv_bias, segments, tails, xbc);

  const Rows scanned = room(D);
  const ScanShape shape{c.mamba_num_heads, c.mamba_head_dim, c.n_groups, c.ssm_state_size};
  const double dt_min = std::max(ctx.dt_min, c.time_step_limit_min);
  const std::vector<SsmState> states = at.state.ssm(at.layer, segments);
  ctx.ops.ssm_scan(ctx.threads, ctx.arena, shape, xbc, dt, w.A_log, w.D, w.dt_bias, dt_min, segments, states, scanned);

  const Rows normed = room(D);
  ctx.ops.gated_rms_norm(ctx.threads, scanned, z, w.norm, c.n_groups, c.layer_norm_epsilon, normed);
  linear(ctx, w.out_proj, normed, out);
  if (saved) *saved = {zxbcdt, xbc, scanned, normed};
}

}  // namespace nemotron
