// The shape of a model, as its config.json gives it (spec/model.md 1).

#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/tensor.h"

namespace nemotron {

enum class LayerKind : char { mamba = 'M', attention = '*', moe = 'E', mlp = '-' };

// Fields carry their checkpoint names; the letters in brackets are those of spec/model.md.
struct Config {
  index vocab_size = 131072;          // V
  index hidden_size = 4096;           // H
  std::vector<LayerKind> layers;      // one mixer a layer
  std::vector<LayerKind> mtp_layers;  // the mixers of the MTP block; empty: no block
  index num_attention_heads = 32, num_key_value_heads = 8, head_dim = 128;
  index mamba_num_heads = 128;  // NH
  index mamba_head_dim = 64;    // P
  index n_groups = 8;           // G
  index ssm_state_size = 128;   // N
  index conv_kernel = 4;        // K
  bool use_conv_bias = true;
  index n_routed_experts = 8;     // E
  index num_experts_per_tok = 2;  // k
  index n_group = 1, topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  index moe_intermediate_size = 7688;                // I
  index moe_shared_expert_intermediate_size = 7688;  // S
  index n_shared_experts = 1;
  index moe_latent_size = 0;        // X where it is not 0, else X = H
  index intermediate_size = 21504;  // dense layers
  double layer_norm_epsilon = 1e-5;
  double time_step_limit_min = 0;  // time_step_limit[0]; a finite upper limit is refused
  bool tie_word_embeddings = false;
  index max_position_embeddings = 4096;
  std::string model_type, dtype;  // as written; for display
  std::vector<int32_t> eos_token_ids = {2};
  int32_t bos_token_id = 1, pad_token_id = 0;  // -1: none
  bool multimodal = false;                     // the text model of a wrapper, whose folder holds other tensors too

  index mamba_inner() const { return mamba_num_heads * mamba_head_dim; }                 // D
  index conv_channels() const { return mamba_inner() + 2 * n_groups * ssm_state_size; }  // CD
  index in_proj_rows() const { return mamba_inner() + conv_channels() + mamba_num_heads; }
  index expert_width() const { return moe_latent_size ? moe_latent_size : hidden_size; }  // X
  index query_width() const { return num_attention_heads * head_dim; }
  index kv_width() const { return num_key_value_heads * head_dim; }
  std::string pattern() const { return {reinterpret_cast<const char*>(layers.data()), layers.size()}; }
};

// Reads and checks a config.json by the rules of spec/model.md 1.2. `where` names the file in errors. A multimodal
// wrapper's text model under `llm_config` or `text_config` is found. Throws Error for a field that is missing, of the
// wrong kind, out of range, inconsistent with another, or that asks for something this program does not compute
// (biases, another activation).
Config parse_config(const Json& json, const std::string& where);

}  // namespace nemotron
