// The published configs, written once: fields of each model, and those that all share.

#include "model/presets.h"

#include <algorithm>
#include <cctype>
#include <span>

#include "base/json.h"

namespace nemotron {
namespace {

// Fields with the same value in every member of the family.
constexpr const char* kShared = R"({
  "architectures": ["NemotronHForCausalLM"],
  "model_type": "nemotron_h",
  "attention_bias": false,
  "attention_dropout": 0.0,
  "bos_token_id": 1,
  "chunk_size": 128,
  "conv_kernel": 4,
  "eos_token_id": 2,
  "expand": 2,
  "head_dim": 128,
  "hidden_dropout": 0.0,
  "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05,
  "mamba_head_dim": 64,
  "mamba_hidden_act": "silu",
  "mamba_proj_bias": false,
  "mamba_ssm_cache_dtype": "float32",
  "max_position_embeddings": 262144,
  "mlp_bias": false,
  "mlp_hidden_act": "relu2",
  "n_group": 1,
  "n_groups": 8,
  "n_shared_experts": 1,
  "norm_eps": 1e-05,
  "norm_topk_prob": true,
  "num_key_value_heads": 2,
  "num_logits_to_keep": 1,
  "pad_token_id": 0,
  "partial_rotary_factor": 1.0,
  "rescale_prenorm_residual": true,
  "residual_in_fp32": false,
  "rope_theta": 10000,
  "sliding_window": null,
  "ssm_state_size": 128,
  "tie_word_embeddings": false,
  "time_step_floor": 0.0001,
  "time_step_max": 0.1,
  "time_step_min": 0.001,
  "topk_group": 1,
  "use_bias": false,
  "use_cache": true,
  "use_conv_bias": true,
  "use_mamba_kernels": true,
  "vocab_size": 131072
})";

constexpr const char* kNano = R"({
  "hidden_size": 2688,
  "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
  "intermediate_size": 1856,
  "mamba_num_heads": 64,
  "moe_intermediate_size": 1856,
  "moe_shared_expert_intermediate_size": 3712,
  "n_routed_experts": 128,
  "num_attention_heads": 32,
  "num_experts_per_tok": 6,
  "num_hidden_layers": 52,
  "routed_scaling_factor": 2.5,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.53.2"
})";

constexpr const char* kSuper = R"({
  "dtype": "bfloat16",
  "hidden_size": 4096,
  "hybrid_override_pattern": "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME",
  "intermediate_size": 2688,
  "mamba_num_heads": 128,
  "moe_intermediate_size": 2688,
  "moe_latent_size": 1024,
  "moe_shared_expert_intermediate_size": 5376,
  "moe_shared_expert_overlap": false,
  "mtp_hybrid_override_pattern": "*E",
  "n_routed_experts": 512,
  "num_attention_heads": 32,
  "num_experts_per_tok": 22,
  "num_hidden_layers": 88,
  "num_nextn_predict_layers": 1,
  "routed_scaling_factor": 5.0,
  "transformers_version": "4.57.6"
})";

// num_hidden_layers is absent: the list says it. intermediate_size, of dense layers that it has none of, is unknown.
constexpr const char* kUltra = R"({
  "dtype": "bfloat16",
  "hidden_size": 8192,
  "layers_block_type": "MEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
  "mamba_num_heads": 256,
  "moe_intermediate_size": 5120,
  "moe_latent_size": 2048,
  "moe_shared_expert_intermediate_size": 10240,
  "mtp_layers_block_type": "*E",
  "n_routed_experts": 512,
  "num_attention_heads": 64,
  "num_experts_per_tok": 22,
  "num_nextn_predict_layers": 1,
  "routed_scaling_factor": 5.0
})";

constexpr const char* kLightning = R"({
  "dtype": "bfloat16",
  "hidden_size": 2688,
  "intermediate_size": 1856,
  "layers_block_type": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
  "mamba_num_heads": 64,
  "max_position_embeddings": 1048576,
  "moe_intermediate_size": 1856,
  "moe_latent_size": null,
  "moe_shared_expert_intermediate_size": 3712,
  "moe_shared_expert_overlap": true,
  "mtp_layers_block_type": "*E",
  "n_routed_experts": 128,
  "num_attention_heads": 32,
  "num_experts_per_tok": 6,
  "num_hidden_layers": 52,
  "num_nextn_predict_layers": 1,
  "routed_scaling_factor": 2.5,
  "transformers_version": "5.8.1"
})";

// The modern schedule is a list of words; above it is written as the shorter pattern.
Json words(const std::string& pattern) {
  Json::Array list;
  for (const char kind : pattern) list.emplace_back(kind == 'M' ? "mamba" : kind == '*' ? "attention" : "moe");
  return list;
}

Preset make(const char* name, const char* long_name, const char* fields, const char* source, const char* uncertain) {
  Json json = parse_json(kShared, name);
  const Json own = parse_json(fields, name);
  for (const auto& [key, value] : own.object())
    json.set(key, key.ends_with("layers_block_type") ? words(value.string()) : value);
  // Sorted, as transformers saves it.
  std::sort(json.object().begin(), json.object().end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return {name, long_name, source, uncertain, json.dump(), parse_config(json, name)};
}

// "nvidia/NVIDIA-Nemotron-3.5-Lightning" as {"nvidia", "nvidia", "nemotron", "3", "5", "lightning"}.
std::vector<std::string> split(std::string_view name) {
  std::vector<std::string> out(1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      out.back() += char(std::tolower(static_cast<unsigned char>(c)));
    else if (!out.back().empty())
      out.emplace_back();
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

// Whether `given` is `full` with some of its words left out, `key` not among them.
bool abbreviates(std::span<const std::string> given, std::span<const std::string> full, const std::string& key) {
  size_t at = 0;
  bool found = false;
  for (const std::string& word : given) {
    while (at < full.size() && full[at] != word) ++at;
    if (at++ == full.size()) return false;
    found = found || word == key;
  }
  return found;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> list = {
      make("Nano", "NVIDIA-Nemotron-3-Nano-30B-A3B", kNano,
           "config.json of nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4, snapshot 6efb4a2a", ""),
      make("Super", "NVIDIA-Nemotron-3-Super-120B-A12B", kSuper,
           "config.json of nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4, snapshot 4f0cf9da", ""),
      make("Ultra", "NVIDIA-Nemotron-3-Ultra-550B-A55B", kUltra,
           "Megatron-LM's examples/post_training/modelopt/conf and Megatron-Bridge; 51,023 tensors agree with a reader "
           "of the release",
           "its config.json was not seen: intermediate_size (unused), spellings and the fields that only initialise"),
      make("Lightning", "NVIDIA-Nemotron-3.5-Lightning-30B-A3B", kLightning,
           "config.json of nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4, snapshot 29f2d174", "")};
  return list;
}

const Preset* find_preset(std::string_view name, std::string* format) {
  if (name.size() > 200) return nullptr;
  std::vector<std::string> given = split(name);
  std::string ending;
  if (!given.empty() && (given.back() == "bf16" || given.back() == "fp8" || given.back() == "nvfp4")) {
    ending = given.back();
    given.pop_back();
  }
  if (!ending.empty() && !format) return nullptr;
  for (const Preset& preset : presets()) {
    // The organisation before, and what the names of pre-trained models end in, are part of no preset's name.
    const std::vector<std::string> full = split("nvidia/" + std::string(preset.long_name) + "-base");
    if (!abbreviates(given, full, split(preset.name)[0])) continue;
    if (format) *format = ending;
    return &preset;
  }
  return nullptr;
}

const Preset* preset_of(const Config& c) {
  for (const Preset& preset : presets()) {
    const Config& p = preset.config;
    if (c.layers == p.layers && c.mtp_layers == p.mtp_layers && c.vocab_size == p.vocab_size &&
        c.hidden_size == p.hidden_size && c.num_attention_heads == p.num_attention_heads &&
        c.num_key_value_heads == p.num_key_value_heads && c.head_dim == p.head_dim &&
        c.mamba_num_heads == p.mamba_num_heads && c.mamba_head_dim == p.mamba_head_dim && c.n_groups == p.n_groups &&
        c.ssm_state_size == p.ssm_state_size && c.conv_kernel == p.conv_kernel && c.use_conv_bias == p.use_conv_bias &&
        c.n_routed_experts == p.n_routed_experts && c.moe_intermediate_size == p.moe_intermediate_size &&
        c.moe_latent_size == p.moe_latent_size &&
        c.moe_shared_expert_intermediate_size == p.moe_shared_expert_intermediate_size &&
        c.n_shared_experts == p.n_shared_experts && c.tie_word_embeddings == p.tie_word_embeddings) {
      return &preset;
    }
  }
  return nullptr;
}

}  // namespace nemotron
