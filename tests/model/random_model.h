// Random models in memory, of any shape and weight format, for tests.

#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "model/model.h"
#include "ops/random_matrix.h"

namespace nemotron::test {

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
