// Law 1: a token's logits are the same bits whatever the chunking, the batch, the threads and the SIMD target.

#include <gtest/gtest.h>

#include <set>

#include "model/random_model.h"

namespace nemotron {
namespace {

using test::Rng;

struct Formats {
  KvFormat kv = KvFormat::real;
  SsmFormat ssm = SsmFormat::real;
  Activations activations = Activations::int8;
};

// The bits of the logits and states of one sequence.
struct Bits {
  std::vector<float> logits;
  std::vector<std::byte> state;
  friend bool operator==(const Bits&, const Bits&) = default;
};

void append_rows(std::vector<float>& out, Rows rows) {
  for (index t = 0; t < rows.rows; ++t) out.insert(out.end(), rows.row<float>(t), rows.row<float>(t) + rows.cols);
}

std::vector<std::byte> state_bits(const State& state, int slot) {
  std::vector<std::byte> bits;
  const auto append = [&](const Buffer& b) { bits.insert(bits.end(), b.data(), b.data() + b.size()); };
  for (const LayerState& layer : state[slot].layers) {
    for (const Buffer& page : layer.pages) append(page);
    append(layer.conv);
    append(layer.ssm);
  }
  return bits;
}

// Sequences fed together: at each step every sequence that has tokens left gives its next piece, of the size `chunk`
// draws.
template <class Chunk>
std::vector<Bits> run(const Model& model, const std::vector<std::vector<int32_t>>& sequences, const Formats& formats,
                      int threads, Chunk chunk, uint64_t at_once = 0) {
  Threads pool(threads);
  Arena arena;
  ReadAhead ahead;
  ahead.at_once = at_once;
  Context ctx{cpu_backend(), pool, arena, 0, formats.activations, at_once ? &ahead : nullptr};
  State state = make_state(model.config, {.kv = formats.kv, .ssm = formats.ssm, .seed = 7});
  std::vector<Bits> result(sequences.size());
  std::vector<size_t> done(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) state.add();
  for (;;) {
    std::vector<int32_t> ids;
    std::vector<Segment> segments;
    std::vector<size_t> who;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const size_t n = std::min<size_t>(size_t(chunk()), sequences[i].size() - done[i]);
      if (n == 0) continue;
      segments.push_back({index(ids.size()), index(ids.size() + n), int(i)});
      ids.insert(ids.end(), sequences[i].begin() + index(done[i]), sequences[i].begin() + index(done[i] + n));
      done[i] += n;
      who.push_back(i);
    }
    if (ids.empty()) break;
    const Scratch scratch(arena);
    const Rows out = logits(ctx, model, forward(ctx, model, ids, segments, &state));
    for (size_t s = 0; s < segments.size(); ++s)
      append_rows(result[who[s]].logits, out.row_range(segments[s].begin, segments[s].end));
  }
  for (size_t i = 0; i < sequences.size(); ++i) result[i].state = state_bits(state, int(i));
  return result;
}

std::vector<Formats> all_formats() {
  std::vector<Formats> all;
  for (const KvFormat kv : {KvFormat::real, KvFormat::bf16, KvFormat::fp8})
    for (const SsmFormat ssm : {SsmFormat::real, SsmFormat::f16}) all.push_back({kv, ssm});
  return all;
}

class Law1 : public ::testing::TestWithParam<int> {
 protected:
  void TearDown() override { set_cpu_target(cpu_targets().front()); }
};

TEST_P(Law1, logits_and_states_do_not_depend_on_chunks_batch_threads_or_target) {
  Rng rng(uint64_t(GetParam()) * 1000 + 17);
  Config config = test::random_config(rng);
  const bool mixed = GetParam() % 6 == 5;
  const Model model = test::random_model(rng, config, mixed ? std::optional<Format>() : Format(GetParam() % 6 % 5));
  std::vector<std::vector<int32_t>> strangers;
  for (int i = 0; i < 3; ++i)
    strangers.push_back(test::random_ids(rng, config, size_t(test::pick(rng, {1, 5, 67, 130, 150}))));
  strangers[1] = test::random_ids(rng, config, 140);                         // past two page borders
  Formats formats = all_formats()[size_t(GetParam() / 6 + GetParam()) % 6];  // beside every format of weights
  if (GetParam() / 6 % 2) formats.activations = Activations::real;

  const Bits whole = run(model, {strangers[1]}, formats, 1, [] { return 1000; })[0];
  for (const float v : whole.logits) ASSERT_TRUE(std::isfinite(v));

  for (const int chunk : {1, 3, 7, 64}) {
    EXPECT_EQ(run(model, {strangers[1]}, formats, 2, [&] { return chunk; })[0], whole) << "in pieces of " << chunk;
  }
  for (const int threads : {2, 5}) {
    EXPECT_EQ(run(model, strangers, formats, threads, [] { return 1000; })[1], whole)
        << "in a batch on " << threads << " threads";
    EXPECT_EQ(run(model, strangers, formats, threads,
                  [&] {
                    return test::pick(rng, {0, 1, 2, 9, 40}) + 1;
                  })[1],
              whole)
        << "in a batch of random pieces on " << threads << " threads";
  }
  for (const uint64_t at_once : {1, 3000}) {
    EXPECT_EQ(run(
                  model, strangers, formats, 2, [] { return 60; }, at_once)[1],
              whole)
        << "read from disk, experts of " << at_once << " bytes at a time";
  }
  for (const std::string& target : cpu_targets()) {
    set_cpu_target(target);
    EXPECT_EQ(run(model, {strangers[1]}, formats, 2, [&] { return 50; })[0], whole) << "on " << target;
  }
}

// Every pair of a weight format and a state format; a third of them where each run takes ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kModels = 12;
#else
constexpr int kModels = 36;
#endif
INSTANTIATE_TEST_SUITE_P(random_models, Law1, ::testing::Range(0, kModels));

TEST(law1, holds_where_wide_matrices_see_int8) {
  Rng rng(29);
  for (const bool mixed : {false, true}) {
    Config config = test::random_config(rng);
    config.layers = {LayerKind::mamba, LayerKind::moe, LayerKind::attention, LayerKind::mlp, LayerKind::moe};
    config.hidden_size = 272, config.intermediate_size = 528;
    config.moe_intermediate_size = config.moe_shared_expert_intermediate_size = 256, config.moe_latent_size = 0;
    const Model model = test::random_model(rng, config, mixed ? std::optional<Format>() : Format::nvfp4);
    const std::vector<int32_t> ids = test::random_ids(rng, config, 50);
    const std::vector<std::vector<int32_t>> batch = {test::random_ids(rng, config, 13), ids,
                                                     test::random_ids(rng, config, 31)};
    const Formats fast{.activations = Activations::int8}, exact{.activations = Activations::real};
    const Bits whole = run(model, {ids}, fast, 1, [] { return 1000; })[0];
    EXPECT_NE(whole, run(model, {ids}, exact, 1, [] { return 1000; })[0]) << "int8 was not used";
    for (const std::string& target : cpu_targets()) {
      set_cpu_target(target);
      for (const int chunk : {1, 4, 7, 50})
        EXPECT_EQ(run(model, batch, fast, 2, [&] { return chunk; })[1], whole) << target << ", pieces of " << chunk;
    }
    set_cpu_target(cpu_targets().front());
  }
}

TEST(law1, mtp_drafts_do_not_depend_on_chunks) {
  Rng rng(5);
  const Config config = test::random_config(rng);
  const Model model = test::random_model(rng, config);
  const std::vector<int32_t> ids = test::random_ids(rng, config, 100);
  const auto drafts = [&](index chunk, int threads) {
    Threads pool(threads);
    Arena arena;
    Context ctx{cpu_backend(), pool, arena};
    State state = make_state(config, {}), mtp = make_mtp_state(config, {});
    state.add(), mtp.add();
    std::vector<float> out;
    for (index at = 0; at + 1 < index(ids.size()); at += chunk) {
      const index n = std::min(chunk, index(ids.size()) - 1 - at);
      const Segment all{0, n, 0};
      const Scratch scratch(arena);
      const Rows hidden = forward(ctx, model, std::span(ids).subspan(size_t(at), size_t(n)), {&all, 1}, &state);
      const Rows m = mtp_forward(ctx, model, hidden, std::span(ids).subspan(size_t(at) + 1, size_t(n)), {&all, 1}, mtp);
      append_rows(out, logits(ctx, model, m));
    }
    return out;
  };
  const std::vector<float> whole = drafts(1000, 1);
  EXPECT_EQ(drafts(1, 2), whole);
  EXPECT_EQ(drafts(13, 3), whole);
}

TEST(law1, a_float16_state_depends_on_the_seed_but_not_on_the_slot) {
  Rng rng(11);
  Config config = test::random_config(rng);
  config.layers = {LayerKind::mamba, LayerKind::mamba};
  const Model model = test::random_model(rng, config, Format::f32);
  const std::vector<int32_t> ids = test::random_ids(rng, config, 40);
  const auto result = [&](uint64_t seed, int slots_before) {
    Threads pool(1);
    Arena arena;
    Context ctx{cpu_backend(), pool, arena};
    State state = make_state(config, {.ssm = SsmFormat::f16, .seed = seed});
    for (int i = 0; i <= slots_before; ++i) state.add();
    const Segment all{0, index(ids.size()), slots_before};
    std::vector<float> out;
    append_rows(out, logits(ctx, model, forward(ctx, model, ids, {&all, 1}, &state)));
    return out;
  };
  EXPECT_EQ(result(1, 0), result(1, 4));
  EXPECT_NE(result(1, 0), result(2, 0));
}

TEST(forward, without_a_state_gives_the_same_and_hands_out_intermediates) {
  Rng rng(3);
  Config config = test::random_config(rng);
  config.layers = {LayerKind::mamba, LayerKind::moe, LayerKind::attention, LayerKind::mlp};
  const Model model = test::random_model(rng, config, Format::f32);
  const std::vector<int32_t> ids = test::random_ids(rng, config, 30);
  Threads pool(2);
  Arena arena;
  Context ctx{cpu_backend(), pool, arena};
  const std::vector<Segment> segments = {{0, 10, 0}, {10, 30, 1}};
  State state = make_state(config, {});
  state.add(), state.add();
  std::vector<float> with_state, without;
  append_rows(with_state, forward(ctx, model, ids, segments, &state));
  Saved saved;
  append_rows(without, forward(ctx, model, ids, segments, nullptr, &saved));
  EXPECT_EQ(with_state, without);
  ASSERT_EQ(saved.layers.size(), 4u);
  // The stream before a layer is the stream before the last one plus what its mixer made; here the norm ties them.
  for (const LayerSaved& layer : saved.layers) {
    std::vector<float> normed, again;
    append_rows(normed, layer.normed);
    const Rows h = arena.rows(Real::f32, 30, config.hidden_size);
    const size_t i = size_t(&layer - saved.layers.data());
    ctx.ops.rms_norm(pool, layer.x, model.weights.layers[i].norm, 1, config.layer_norm_epsilon, h);
    append_rows(again, h);
    EXPECT_EQ(normed, again);
  }
  const auto& moe = std::get<MoeSaved>(saved.layers[1].mixer);
  EXPECT_EQ(moe.up.rows, 30 * config.num_experts_per_tok);
  EXPECT_EQ(std::set<index>(moe.slots.begin(), moe.slots.end()).size(), moe.slots.size());
}

}  // namespace
}  // namespace nemotron
