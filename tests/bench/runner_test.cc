// What a test must read and compute, counted where it runs, against the plan's arithmetic; and that runs are alike.

#include "bench/runner.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "plan/plan.h"

namespace nemotron {
namespace {

constexpr Limits kLimits{.threads = 1, .bandwidth = 1e10, .f32 = 1e11, .int8 = 4e11};
bool go_on(const Stage&) { return true; }

class Bench : public ::testing::Test {
 protected:
  Engine engine{NEMOTRON_SOURCE_DIR "/models/pico", {.threads = 1}};
  Runner runner{engine, 512};

  Measured run(const BenchTest& test, bool ops = false) { return runner.run(test, kLimits, 1, ops, go_on).value(); }
};

// One token picks as many experts as it is given, so that the plan's expectation is exact.
TEST_F(Bench, a_decode_step_costs_what_the_plan_says) {
  const Architecture a = describe(engine.config(), Recipe::bf16);
  for (const index depth : {0, 1, 100}) {
    const Measured m = run({.decode = true, .tokens = 1, .depth = depth});
    const Workload w{.context = uint64_t(depth),
                     .formats = {NumberFormat::f32, NumberFormat::f32, NumberFormat::f32, false}};
    const Work plan = decode_step(a, w, *find_machine("H100"));
    EXPECT_EQ(m.cost.operations(), plan.flops()) << depth;
    EXPECT_EQ(m.cost.int8, 0);
    EXPECT_NEAR(m.cost.bytes / plan.bytes(), 1, 0.01) << depth;  // small vectors are widened when they are loaded
    EXPECT_EQ(m.experts, double(engine.config().num_experts_per_tok));
    EXPECT_EQ(m.passes, 1);
    EXPECT_DOUBLE_EQ(m.limit_seconds, kLimits.seconds(m.cost));
  }
}

TEST_F(Bench, a_prompt_costs_what_the_plan_says_but_for_the_experts_it_picks) {
  const Architecture a = describe(engine.config(), Recipe::bf16);
  Runner in_chunks(engine, 40);
  const Measured m = in_chunks.run({.tokens = 100, .batch = 3}, kLimits, 1, false, go_on).value();
  const Workload w{.context = 100,
                   .batch = 3,
                   .prefill_chunk = 40,
                   .formats = {NumberFormat::f32, NumberFormat::f32, NumberFormat::f32, false}};
  const Prefill plan = prefill(a, w, *find_machine("H100"));
  EXPECT_EQ(m.passes, 3);
  EXPECT_EQ(m.cost.operations(), plan.work.flops());
  EXPECT_NEAR(m.cost.bytes / plan.work.bytes(), 1, 0.1);  // the plan knows no routes
  EXPECT_GT(m.experts, double(engine.config().num_experts_per_tok));
  EXPECT_LE(m.experts, double(engine.config().n_routed_experts));
}

// The routes depend on every state, so a state that is not what it was would pick other experts.
TEST_F(Bench, a_test_does_the_same_work_whatever_ran_before_it) {
  const BenchTest deep{.tokens = 30, .depth = 70, .batch = 2};
  const Measured fresh = run(deep);
  run({.decode = true, .tokens = 20, .depth = 70, .batch = 2});
  EXPECT_EQ(run(deep).cost.bytes, fresh.cost.bytes);
  run({.tokens = 200});
  const Measured again = run({.tokens = 30, .depth = 70, .batch = 2, .threads = 2}, true);
  EXPECT_EQ(again.cost.bytes, fresh.cost.bytes);
  double bytes = 0;
  for (const OpTotal& t : again.ops) bytes += t.cost.bytes;
  EXPECT_DOUBLE_EQ(bytes, fresh.cost.bytes);  // timing the ops counts them again
  EXPECT_GT(runner.kept_bytes(), 0u);
}

TEST_F(Bench, every_op_is_found_by_its_place_in_a_layer) {
  const Measured m = run({.decode = true, .tokens = 4, .depth = 3}, true);
  const auto layers = [&](LayerKind kind) {
    const auto& all = engine.config().layers;
    return double(std::count(all.begin(), all.end(), kind));
  };
  const std::pair<const char*, double> expected[] = {{"in_proj", layers(LayerKind::mamba)},
                                                     {"out_proj", layers(LayerKind::mamba)},
                                                     {"q_proj", layers(LayerKind::attention)},
                                                     {"o_proj", layers(LayerKind::attention)},
                                                     {"gate", layers(LayerKind::moe)},
                                                     {"fc1_latent_proj", layers(LayerKind::moe)},
                                                     {"experts.up_proj", layers(LayerKind::moe)},
                                                     {"experts.down_proj", layers(LayerKind::moe)},
                                                     {"shared_experts.down_proj", layers(LayerKind::moe)},
                                                     {"lm_head", 1}};
  for (const auto& one : expected) {
    const std::string module = one.first;
    const auto at = std::find_if(m.ops.begin(), m.ops.end(), [&](const OpTotal& t) { return t.module == module; });
    ASSERT_NE(at, m.ops.end()) << module;
    EXPECT_EQ(at->calls / m.ops_passes, one.second) << module;
    EXPECT_GT(at->cost.bytes, 0) << module;
    EXPECT_EQ(at->op, "linear");
  }
  double inside = 0;
  for (const OpTotal& t : m.ops) {
    inside += t.seconds;
    EXPECT_TRUE(t.op != "linear" || !t.module.empty()) << t.rows << " x " << t.cols;
  }
  EXPECT_LE(inside, m.ops_seconds);
}

TEST_F(Bench, a_backend_that_is_measured_gives_the_same_bits) {
  const auto logits_with = [&](const Backend& ops) {
    Context& own = engine.context();
    Context ctx{ops, own.threads, own.arena, own.dt_min, own.activations};
    const Scratch scratch(own.arena);
    State state = make_state(engine.config(), engine.state_format());
    const std::vector<int32_t> ids = {5, 6, 7, 8};
    const Segment all{0, 4, state.add()};
    const Rows out = logits(ctx, engine.model(), forward(ctx, engine.model(), ids, {&all, 1}, &state));
    return std::vector<float>(out.row<float>(0), out.row<float>(0) + out.rows * out.cols);
  };
  const std::vector<float> plain = logits_with(cpu_backend());
  const Meter meter(cpu_backend(), engine.model(), kLimits);
  EXPECT_EQ(logits_with(meter.table()), plain);
}

TEST_F(Bench, ends_when_it_is_told_to) {
  for (const char* stage : {"fill", "warm up", "run", "ops"}) {
    const auto until = [&](const Stage& s) { return std::string(s.name) != stage; };
    Runner fresh(engine, 512);
    EXPECT_FALSE(fresh.run({.decode = true, .tokens = 2, .depth = 5}, kLimits, 1, true, until)) << stage;
  }
}

}  // namespace
}  // namespace nemotron
