// Random models in memory, of any shape and weight format, for tests.

#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "model/model.h"

namespace nemotron::test {

using Rng = std::mt19937_64;

inline index pick(Rng& rng, std::initializer_list<index> values) {
  return *(values.begin() + std::uniform_int_distribution<size_t>(0, values.size() - 1)(rng));
}

// Owns the bytes of matrices.
using Storage = std::vector<std::unique_ptr<std::vector<uint8_t>>>;

inline uint8_t* take(Storage& storage, size_t size) {
  storage.push_back(std::make_unique<std::vector<uint8_t>>(size));
  return storage.back()->data();
}

// N(0, gain^2 / cols) rounded to a format. NVFP4 falls back to BF16 where the columns are no whole blocks.
inline Matrix random_matrix(Rng& rng, index rows, index cols, Format format, float gain, Storage& storage) {
  if (format == Format::nvfp4 && cols % Nvfp4::kBlock) format = Format::bf16;
  Matrix w{.format = format, .rows = rows, .cols = cols};
  std::normal_distribution<float> normal(0, gain / std::sqrt(float(cols)));
  std::vector<float> values(size_t(rows * cols));
  for (float& v : values) v = normal(rng);
  uint8_t* data = take(storage, size_t(rows) * w.row_bytes());
  w.data = data;
  float amax = 1e-9f;
  for (const float v : values) amax = std::max(amax, std::fabs(v));
  switch (format) {
    case Format::f32:
      std::memcpy(data, values.data(), values.size() * 4);
      break;
    case Format::bf16:
    case Format::f16:
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t code = format == Format::bf16 ? Bf16::encode(values[i]) : F16::encode(values[i]);
        std::memcpy(data + 2 * i, &code, 2);
      }
      break;
    case Format::fp8:
      w.scale = Fp8::tensor_scale(amax);
      for (size_t i = 0; i < values.size(); ++i) data[i] = Fp8::encode(values[i], w.scale);
      break;
    case Format::nvfp4: {
      w.scale = Nvfp4::tensor_scale(amax);
      uint8_t* scales = take(storage, values.size() / Nvfp4::kBlock);
      w.block_scales = scales;
      for (size_t b = 0; b < values.size() / Nvfp4::kBlock; ++b) {
        float most = 0;
        for (int i = 0; i < Nvfp4::kBlock; ++i) most = std::max(most, std::fabs(values[b * 16 + size_t(i)]));
        scales[b] = Nvfp4::block_scale(most, w.scale);
        Nvfp4::encode_block(&values[b * 16], scales[b], w.scale, data + b * 8);
      }
      break;
    }
  }
  return w;
}

inline Vector random_vector(Rng& rng, const std::string& name, size_t size) {
  const auto ends = [&](const char* s) { return name.size() >= std::strlen(s) && name.ends_with(s); };
  const auto uniform = [&](float a, float b) { return std::uniform_real_distribution<float>(a, b)(rng); };
  Vector v(size);
  for (float& x : v) {
    if (ends("A_log"))
      x = std::log(uniform(1, 16));
    else if (ends("dt_bias"))
      x = std::log(std::expm1(std::exp(uniform(std::log(0.001f), std::log(0.1f)))));
    else if (ends("conv1d.weight"))
      x = std::normal_distribution<float>(0, 0.5f)(rng);
    else if (ends("bias"))
      x = std::normal_distribution<float>(0, 0.2f)(rng);
    else if (ends("_scale"))
      x = uniform(0.01f, 0.1f);
    else
      x = uniform(0.5f, 1.5f);
  }
  return v;
}

// Every kind of layer, sizes that are no multiple of anything as often as not, and an MTP block.
inline Config random_config(Rng& rng) {
  Config c;
  c.vocab_size = pick(rng, {61, 96, 131});
  c.hidden_size = pick(rng, {32, 48, 56, 72});
  const std::string schedules[] = {"M*E", "ME*-", "*EM", "MEM*E", "-M*", "EM"};
  const std::string& pattern = schedules[size_t(pick(rng, {0, 1, 2, 3, 4, 5}))];
  for (const char kind : pattern) c.layers.push_back(LayerKind(kind));
  c.mtp_layers = {LayerKind::attention, LayerKind::moe};
  c.num_key_value_heads = pick(rng, {1, 2, 3});
  c.num_attention_heads = c.num_key_value_heads * pick(rng, {1, 2, 4});
  c.head_dim = pick(rng, {16, 20, 32});
  c.n_groups = pick(rng, {1, 2, 4, 8});
  c.mamba_num_heads = c.n_groups * pick(rng, {1, 2});
  c.mamba_head_dim = pick(rng, {4, 16, 20});
  c.ssm_state_size = pick(rng, {16, 24, 32, 7});
  c.conv_kernel = pick(rng, {2, 3, 4});
  c.use_conv_bias = pick(rng, {0, 1});
  c.n_routed_experts = pick(rng, {4, 8, 12, 20});
  c.n_group = pick(rng, {1, 2, 4});
  c.topk_group = (c.n_group + 1) / 2;
  c.num_experts_per_tok = pick(rng, {1, 2});
  c.norm_topk_prob = pick(rng, {0, 1});
  c.routed_scaling_factor = 2.5;
  c.moe_intermediate_size = pick(rng, {16, 28, 48});
  c.moe_shared_expert_intermediate_size = pick(rng, {36, 128});
  c.n_shared_experts = pick(rng, {0, 1});
  c.moe_latent_size = pick(rng, {0, 16, 28});
  c.intermediate_size = pick(rng, {40, 96, 256});
  return c;
}

// Weights for a config; every matrix in `format`, or each in a format of its own where it is not given.
inline Model random_model(Rng& rng, const Config& config, std::optional<Format> format = {}) {
  auto storage = std::make_shared<Storage>();
  Model model;
  model.config = config;
  const auto fill = [&](const Entry& entry, auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>) {
      const Format f = format ? *format : Format(pick(rng, {0, 1, 2, 3, 4}));
      const float gain = entry.role == Role::embedding ? std::sqrt(float(entry.shape[1])) : 1.5f;
      member = random_matrix(rng, entry.shape[0], entry.shape[1], f, gain, *storage);
      if (entry.role == Role::out) member.k_segments = k_segments(member.cols, entry.k_units);
    } else {
      size_t size = 1;
      for (const index n : entry.shape) size *= size_t(n);
      member = random_vector(rng, entry.name, size);
    }
  };
  visit_weights(config, model.weights, fill);
  if (!config.mtp_layers.empty()) visit_weights(config, model.weights.mtp.emplace(), fill);
  if (config.tie_word_embeddings) model.weights.lm_head = model.weights.embeddings;
  model.storage = storage;
  return model;
}

inline std::vector<int32_t> random_ids(Rng& rng, const Config& config, size_t count) {
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = int32_t(std::uniform_int_distribution<index>(0, config.vocab_size - 1)(rng));
  return ids;
}

}  // namespace nemotron::test
