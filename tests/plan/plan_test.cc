// The arithmetic of a plan against hand calculation: Nano, Super and pico, the published figures of the rivals, the
// points where caches cross, limits of time, and what is refused.

#include "plan/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/map.h"
#include "model/presets.h"
#include "plan/rivals.h"

namespace nemotron {
namespace {

constexpr uint64_t k16 = 2;  // bytes of a number in 16 bits

Architecture preset(const char* name, Recipe recipe = Recipe::bf16) {
  return describe(find_preset(name)->config, recipe);
}

Architecture pico() {
  const std::string path = NEMOTRON_SOURCE_DIR "/models/pico/config.json";
  return describe(parse_config(parse_json(read_file(path, 1 << 20), path), path), Recipe::bf16);
}

Count a_layer(const Architecture& a, Part part) { return parameters(a, part).total.value() / a.layers.at(part); }

uint64_t less(Count a, Count b) { return a.value() - b.value(); }

// ---- parameters, each line a tensor ----

TEST(Parameters, of_nano_are_those_of_its_tensors) {
  const Architecture a = preset("nano");
  constexpr uint64_t H = 2688, D = 64 * 64, GN = 8 * 128, CD = D + 2 * GN, V = 131072, E = 128, k = 6;
  constexpr uint64_t mamba = (2 * D + 2 * GN + 64) * H                    // in_proj: z, x, B, C, dt
                             + CD * 4 + CD                                // conv1d.weight, conv1d.bias
                             + 3 * 64                                     // A_log, D, dt_bias
                             + D                                          // gated norm
                             + H * D                                      // out_proj
                             + H;                                         // norm
  constexpr uint64_t attention = 2 * 32 * 128 * H + 2 * 2 * 128 * H + H;  // q and o, k and v, norm
  constexpr uint64_t expert = 2 * 1856 * H, shared = 2 * 3712 * H;        // up and down
  constexpr uint64_t moe = E * expert + shared + E * H + E + H;           // gate, its bias, norm
  EXPECT_EQ(a_layer(a, Part::mamba), mamba);
  EXPECT_EQ(a_layer(a, Part::attention), attention);
  EXPECT_EQ(a_layer(a, Part::moe), moe);
  constexpr uint64_t total = 23 * mamba + 6 * attention + 23 * moe + 2 * V * H + H;
  const Parameters p = parameters(a);
  EXPECT_EQ(p.total, total);
  EXPECT_EQ(p.active, total - 23 * (E - k) * expert);
  EXPECT_EQ(p.mtp, 0u);
  // spec/model.md 10
  EXPECT_EQ(mamba, 38'744'896u);
  EXPECT_EQ(moe, 1'297'468'160u);
  EXPECT_EQ(attention, 23'399'040u);
  EXPECT_EQ(total, 31'577'940'288u);
  EXPECT_EQ(p.active, 3'580'076'352u);
  EXPECT_EQ(less(p.active, p.input_embedding), 3'227'754'816u);
  EXPECT_EQ(less(p.active, p.input_embedding + p.head), 2'875'433'280u);
}

TEST(Parameters, of_super_are_those_of_its_tensors) {
  const Architecture a = preset("super");
  constexpr uint64_t H = 4096, D = 128 * 64, GN = 8 * 128, CD = D + 2 * GN, V = 131072, E = 512, k = 22, X = 1024;
  constexpr uint64_t mamba = (2 * D + 2 * GN + 128) * H + CD * 4 + CD + 3 * 128 + D + H * D + H;
  constexpr uint64_t attention = 2 * 32 * 128 * H + 2 * 2 * 128 * H + H;
  constexpr uint64_t expert = 2 * 2688 * X;
  constexpr uint64_t moe = E * expert + 2 * X * H + 2 * 5376 * H + E * H + E + H;  // experts, fc1 and fc2, shared, gate
  EXPECT_EQ(a_layer(a, Part::mamba), mamba);
  EXPECT_EQ(a_layer(a, Part::attention), attention);
  EXPECT_EQ(a_layer(a, Part::moe), moe);
  constexpr uint64_t total = 40 * mamba + 8 * attention + 40 * moe + 2 * V * H + H;
  constexpr uint64_t mtp = H * 2 * H + 3 * H + attention + moe;  // eh_proj; enorm, hnorm, final_layernorm; one of each
  const Parameters p = parameters(a);
  EXPECT_EQ(p.total, total);
  EXPECT_EQ(p.mtp, mtp);
  EXPECT_EQ(p.active, total - 40 * (E - k) * expert);
  EXPECT_EQ(mamba, 109'640'064u);
  EXPECT_EQ(moe, 2'873'102'848u);
  EXPECT_EQ(attention, 35'655'680u);
  EXPECT_EQ(total, 120'668'707'840u);
  EXPECT_EQ(mtp, 2'942'325'248u);
  EXPECT_EQ(p.total + p.mtp, 123'611'033'088u);
  EXPECT_EQ(p.active, 12'770'237'440u);
  EXPECT_EQ(less(p.active, p.input_embedding), 12'233'366'528u);
  EXPECT_EQ(less(p.active, p.input_embedding + p.head), 11'696'495'616u);
}

TEST(Parameters, of_pico_are_those_of_its_tensors) {
  const Architecture a = pico();
  constexpr uint64_t H = 256, D = 16 * 16, GN = 2 * 32, CD = D + 2 * GN, V = 2048, E = 16, k = 4, X = 64;
  constexpr uint64_t mamba = (2 * D + 2 * GN + 16) * H + CD * 4 + CD + 3 * 16 + D + H * D + H;
  constexpr uint64_t attention = 2 * 4 * 32 * H + 2 * 2 * 32 * H + H;
  constexpr uint64_t expert = 2 * 128 * X;
  constexpr uint64_t moe = E * expert + 2 * X * H + 2 * 256 * H + E * H + E + H;
  constexpr uint64_t total = 4 * mamba + 2 * attention + 4 * moe + 2 * V * H + H;
  const Parameters p = parameters(a);
  EXPECT_EQ(p.total, total);
  EXPECT_EQ(p.active, total - 4 * (E - k) * expert);
  EXPECT_EQ(p.mtp, H * 2 * H + 3 * H + attention + moe);
}

TEST(Parameters, of_ultra_and_lightning_are_the_published_ones) {
  const Parameters ultra = parameters(preset("ultra"));
  EXPECT_EQ(ultra.total, 549'308'993'536u);
  EXPECT_EQ(ultra.mtp, 11'215'610'368u);
  EXPECT_EQ(ultra.active, 56'058'843'136u);
  EXPECT_EQ(less(ultra.active, ultra.input_embedding), 54'985'101'312u);
  EXPECT_EQ(less(ultra.active, ultra.input_embedding + ultra.head), 53'911'359'488u);
  const Architecture a = preset("ultra");
  EXPECT_EQ(a_layer(a, Part::mamba), 421'645'056u);
  EXPECT_EQ(a_layer(a, Part::moe), 10'942'947'840u);
  EXPECT_EQ(a_layer(a, Part::attention), 138'420'224u);
  EXPECT_EQ(parameters(preset("lightning")).mtp, 1'335'325'952u);
}

// Table 1 of arXiv 2508.10925; the model cards of Qwen3.5 ("122B in total and 10B activated", "27B").
TEST(Parameters, of_the_rivals_are_those_their_authors_publish) {
  const auto billions = [](double n) { return std::round(n / 1e7) / 100; };
  const Architecture oss120 = *rival("gpt-oss-120b", ""), oss20 = *rival("gpt-oss-20b", "");
  for (const auto& [a, total, active, mlp, attention] :
       {std::tuple(&oss120, 116.83, 5.13, 114.71, 0.96), std::tuple(&oss20, 20.91, 3.61, 19.12, 0.64)}) {
    const Parameters p = parameters(*a);
    EXPECT_EQ(billions(p.total.real()), total);
    EXPECT_EQ(billions(double(less(p.active, p.input_embedding))), active);
    EXPECT_EQ(billions(parameters(*a, Part::moe).total.real()), mlp);
    EXPECT_EQ(billions(parameters(*a, Part::attention).total.real()), attention);
  }
  EXPECT_NEAR(weight_bytes(oss120, true).real() / (1 << 30), 60.8, 0.05);  // GiB, as published
  EXPECT_NEAR(weight_bytes(oss20, true).real() / (1 << 30), 12.8, 0.05);
  const Parameters q122 = parameters(*rival("Qwen3.5-122B-A10B", "")), q27 = parameters(*rival("qwen3.5-27b", ""));
  EXPECT_EQ(q122.total, 122'111'526'912u);
  EXPECT_NEAR(q122.active.real(), 10e9, 0.3e9);
  EXPECT_EQ(q27.total, 26'895'998'464u);
  EXPECT_EQ(q27.mtp, 424'699'392u);  // the release's mtp.* tensors: 811 MiB in BF16
  EXPECT_FALSE(rival("gpt-oss", ""));
}

// ---- bytes ----

TEST(Weights, take_what_the_published_headers_say) {
  EXPECT_EQ(weight_bytes(preset("super"), true), 247'222'108'160u);
  EXPECT_EQ(weight_bytes(preset("super", Recipe::nvfp4), true), 80'297'329'824u);
  EXPECT_EQ(weight_bytes(preset("nano", Recipe::nvfp4), true), 19'339'781'632u);
}

TEST(Caches, of_super_nano_and_pico) {
  const CacheFormats deployed;  // float32 state, 16-bit convolution, all columns
  CacheFormats own = {NumberFormat::f32, NumberFormat::f32, NumberFormat::f32, false}, half = deployed;
  half.state = NumberFormat::f16;
  const Architecture super = preset("super"), nano = preset("nano"), small = pico();
  EXPECT_EQ(kv_bytes_a_token(super, NumberFormat::fp8), 8 * 2 * 2 * 128u);  // layers, K and V, heads, width
  EXPECT_EQ(kv_bytes_a_token(super, NumberFormat::fp8), 4096u);
  EXPECT_EQ(kv_bytes_a_token(super, NumberFormat::bf16), 8192u);
  EXPECT_EQ(kv_bytes_a_token(nano, NumberFormat::fp8), 6 * 2 * 2 * 128u);
  EXPECT_EQ(kv_bytes_a_token(nano, NumberFormat::bf16), 6144u);
  EXPECT_EQ(kv_bytes_a_token(small, NumberFormat::f32), 2 * 2 * 2 * 32 * 4u);
  EXPECT_EQ(2 * preset("super").mtp_cache.value(), 1024u);
  EXPECT_EQ(kv_bytes(super, NumberFormat::bf16, 1000), 8'192'000u);

  // layers * (heads * width * state * bytes + channels * columns * bytes)
  EXPECT_EQ(state_bytes(super, deployed), 40 * (128 * 64 * 128 * 4 + 10240 * 4 * k16));
  EXPECT_EQ(state_bytes(super, deployed), 171'048'960u);  // 163.1 MiB
  EXPECT_EQ(state_bytes(super, half), 40 * (128 * 64 * 128 * 2 + 10240 * 4 * k16));
  EXPECT_EQ(state_bytes(super, own), 40 * (128 * 64 * 128 * 4 + 10240 * 3 * 4u));
  EXPECT_EQ(state_bytes(nano, deployed), 23 * (64 * 64 * 128 * 4 + 6144 * 4 * k16));
  EXPECT_EQ(state_bytes(small, own), 4 * (16 * 16 * 32 * 4 + 384 * 3 * 4u));
  // spec/model.md 10: states alone, and three columns
  EXPECT_EQ(40 * 128 * 64 * 128 * 4, 160 << 20);
  EXPECT_EQ(48 * 256 * 64 * 128 * 4, 384 << 20);
}

TEST(Caches, of_the_rivals) {
  const Architecture oss = *rival("gpt-oss-120b", ""), qwen = *rival("qwen3.5-122b-a10b", "");
  EXPECT_EQ(kv_bytes_a_token(oss, NumberFormat::bf16), 18 * 2 * 8 * 64 * k16);
  // 18 layers keep all, 18 keep 128 tokens
  EXPECT_EQ(kv_bytes(oss, NumberFormat::bf16, 10'000), (10'000 + 128) * 18 * 2 * 8 * 64 * k16);
  EXPECT_EQ(kv_bytes(oss, NumberFormat::bf16, 100), 2 * 100 * 18 * 2 * 8 * 64 * k16);
  EXPECT_EQ(kv_bytes_a_token(qwen, NumberFormat::bf16), 12 * 2 * 2 * 256 * k16);
  EXPECT_EQ(state_bytes(qwen, {}), 36 * (64 * 128 * 128 * 4 + (2 * 16 * 128 + 64 * 128) * 4 * k16));
}

TEST(Caches, of_super_become_the_smaller_ones_where_the_lines_meet) {
  const Architecture super = preset("super"), oss = *rival("gpt-oss-120b", ""), qwen = *rival("qwen3.5-122b-a10b", "");
  CacheFormatsOfTwo f;
  f.count_b = false;
  // 171,048,960 + 8192 n = 24,576 n
  std::vector<Crossing> at = crossings(super, qwen, f);
  ASSERT_EQ(at.size(), 1u);
  EXPECT_DOUBLE_EQ(at[0].context, 171'048'960.0 / (24'576 - 8192));
  EXPECT_DOUBLE_EQ(at[0].context, 10'440);
  EXPECT_TRUE(at[0].a_smaller_after);
  // 171,048,960 + 8192 n = 36,864 n + 18 * 128 * 2048
  at = crossings(super, oss, f);
  ASSERT_EQ(at.size(), 1u);
  EXPECT_DOUBLE_EQ(at[0].context, (171'048'960.0 - 18 * 128 * 2048) / (36'864 - 8192));
  EXPECT_EQ(uint64_t(at[0].context), 5801u);
  // The other's own state counted, too.
  f.count_b = true;
  at = crossings(super, qwen, f);
  ASSERT_EQ(at.size(), 1u);
  EXPECT_DOUBLE_EQ(at[0].context, (171'048'960.0 - 36 * (4'194'304 + 98'304)) / (24'576 - 8192));
  // A model never crosses itself, and the other way round the sign turns.
  EXPECT_TRUE(crossings(super, super, f).empty());
  f.count_a = false;
  at = crossings(qwen, super, f);
  ASSERT_EQ(at.size(), 1u);
  EXPECT_FALSE(at[0].a_smaller_after);
}

// ---- work ----

// One token of Super: every active matrix once, attention over what is seen, five operations on each number of a state.
TEST(Work, of_a_decode_step_of_super) {
  const Architecture a = preset("super", Recipe::nvfp4);
  const Machine m = *find_machine("B200");
  Workload w;
  w.context = 10'000;
  w.formats.kv = NumberFormat::fp8;
  const Work one = decode_step(a, w, m);
  const double vectors = 40 * (10240 * 5 + 3 * 128 + 8192 + 4096) + 8 * 4096 + 40 * (4096 + 512) + 4096;
  EXPECT_DOUBLE_EQ(one.matrix_flops, 2 * (12'233'366'528.0 - vectors));
  EXPECT_DOUBLE_EQ(one.attention_flops, 8 * 32 * 128 * 4.0 * 10'001);
  EXPECT_DOUBLE_EQ(one.recurrent_flops, 40 * (5 * 1'048'576.0 + 2 * 10240 * 4));
  EXPECT_DOUBLE_EQ(one.cache_bytes, 4096.0 * 10'001);  // read what is there, write one
  EXPECT_DOUBLE_EQ(one.state_bytes, 2 * 171'048'960.0);
  // All but the embedding table, MTP and the experts that were not picked.
  const double expert_bytes = 2.0 * (2688 * 1024 / 2 + 2688 * 1024 / 16 + 4 + 4);  // codes, block scales, two scalars
  const double all = 74'412'678'304.0 - 131072.0 * 4096 * 2;
  EXPECT_NEAR(one.weight_bytes, all - 40 * (512 - 22) * expert_bytes, 1);
  EXPECT_DOUBLE_EQ(one.seconds_memory, one.bytes() / 8e12);
  EXPECT_DOUBLE_EQ(one.seconds(), one.seconds_memory);

  // A batch reads a weight once, and its own caches.
  w.batch = 64;
  const Work many = decode_step(a, w, m);
  EXPECT_DOUBLE_EQ(many.flops(), 64 * one.flops());
  EXPECT_DOUBLE_EQ(many.state_bytes, 64 * one.state_bytes);
  const double touched = 512 * (1 - std::pow(1 - 22.0 / 512, 64));
  EXPECT_NEAR(many.weight_bytes, all - 40 * (512 - touched) * expert_bytes, 1e3);
}

TEST(Work, distinct_experts_are_the_picks_for_one_token_and_all_for_many) {
  EXPECT_NEAR(distinct_experts(512, 22, 1), 22, 1e-9);
  EXPECT_NEAR(distinct_experts(512, 22, 2), 22 + 22 * (1 - 22.0 / 512), 1e-9);
  EXPECT_NEAR(distinct_experts(512, 22, 1e6), 512, 1e-6);
  EXPECT_EQ(distinct_experts(8, 8, 1), 8);
}

TEST(Work, of_a_prompt_sees_every_pair_of_tokens_once_however_it_is_cut) {
  for (const char* name : {"super", "gpt-oss-120b"}) {
    const Architecture a = rival(name, "") ? *rival(name, "") : preset(name);
    const Machine m = *find_machine("H100");
    Workload w;
    w.context = 1000;
    double pairs = 0;
    for (const AttentionGroup& g : a.attention)
      for (uint64_t t = 1; t <= w.context; ++t)
        pairs += 4.0 * double(g.layers * g.heads * g.head_dim) * double(g.window ? std::min(t, g.window) : t);
    for (const uint64_t chunk : {1000u, 512u, 64u, 1u}) {
      w.prefill_chunk = chunk;
      const Prefill p = prefill(a, w, m);
      EXPECT_NEAR(p.work.attention_flops, pairs, pairs * 1e-12) << name << " " << chunk;
      EXPECT_DOUBLE_EQ(p.work.tokens, 1000);
      EXPECT_GE(p.seconds, std::max(p.work.seconds_compute, p.work.seconds_memory) * 0.999999);
    }
  }
}

TEST(Work, decode_turns_compute_bound_at_the_batch_that_is_said) {
  const Machine m = *find_machine("RTX 4090");
  Workload w;
  Architecture dense = *rival("qwen3.5-27b", "");
  dense.recurrent.clear();
  dense.attention.clear();  // nothing but matrices: as many operations a byte as there are sequences
  const auto knee = compute_bound_batch(dense, w, m);
  ASSERT_TRUE(knee);
  w.batch = *knee;
  EXPECT_TRUE(decode_step(dense, w, m).compute_bound());
  w.batch = *knee - 1;
  EXPECT_FALSE(decode_step(dense, w, m).compute_bound());
  EXPECT_NEAR(double(*knee), m.bf16 / m.bandwidth, 2);  // 2 bytes and 2 operations a weight
}

TEST(Work, a_format_without_units_is_multiplied_in_16_bits) {
  const Machine a100 = *find_machine("A100"), h100 = *find_machine("h100"), b200 = *find_machine("B200");
  EXPECT_EQ(a100.peak(NumberFormat::fp8), a100.bf16);
  EXPECT_EQ(h100.peak(NumberFormat::nvfp4), h100.bf16);
  EXPECT_EQ(h100.peak(NumberFormat::fp8), h100.fp8);
  EXPECT_EQ(b200.peak(NumberFormat::nvfp4), b200.fp4);
  EXPECT_EQ(b200.peak(NumberFormat::mxfp4), b200.fp8);
  EXPECT_TRUE(find_machine("dgx-spark") && find_machine("m3ultra") && find_machine("RTX 5090"));
  EXPECT_FALSE(find_machine("") || find_machine("H100 NVL"));
  for (const Machine& m : machines()) EXPECT_FALSE(m.source.empty()) << m.name;
}

// ---- fitting ----

TEST(Fit, the_largest_batch_and_context_fit_and_one_more_does_not) {
  const Architecture a = preset("nano", Recipe::nvfp4);
  Workload w;
  w.formats.kv = NumberFormat::fp8;
  const double capacity = 32e9;
  const auto total = [&](uint64_t context, uint64_t batch) {
    Workload of = w;
    of.context = context;
    of.batch = batch;
    return deployment_memory(a, of).total().real();
  };
  const uint64_t batch = largest_batch(a, w, capacity), context = longest_context(a, w, capacity);
  EXPECT_LE(total(w.context, batch), capacity);
  EXPECT_GT(total(w.context, batch + 1), capacity);
  EXPECT_LE(total(context, 1), capacity);
  EXPECT_GT(total(context + 1, 1), capacity);
  EXPECT_EQ(largest_batch(a, w, 10e9), 0u);
}

TEST(Fit, what_cannot_be_counted_is_refused_and_never_fits) {
  const Architecture a = preset("super");
  Workload w;
  w.context = uint64_t{1} << 62;
  EXPECT_THROW(deployment_memory(a, w), Error);
  w.context = uint64_t{1} << 40;
  w.batch = 1'000'000'000;
  EXPECT_THROW(deployment_memory(a, w), Error);
  EXPECT_GT(largest_batch(a, w, 1e18), 0u);
  EXPECT_EQ(largest_batch(a, w, 1e9), 0u);
  EXPECT_TRUE(std::isfinite(decode_step(a, w, machines()[0]).seconds()));
  EXPECT_TRUE(std::isfinite(prefill(a, w, machines()[0]).seconds));
}

TEST(Fit, many_machines_are_one_with_all_their_limits) {
  const Machine m = *find_machine("B200"), four = times(m, 4);
  EXPECT_EQ(four.capacity, 4 * m.capacity);
  EXPECT_EQ(four.bandwidth, 4 * m.bandwidth);
  EXPECT_EQ(four.fp4, 4 * m.fp4);
  Workload w;
  w.context = 100;
  const Architecture a = preset("nano");
  EXPECT_DOUBLE_EQ(decode_step(a, w, four).seconds() * 4, decode_step(a, w, m).seconds());
}

}  // namespace
}  // namespace nemotron
