// The weight table: every tensor of a model, by layer kind: its checkpoint name, its member, its shape, its role.
//
// One list a kind drives loading, counting, planning and (later) saving, initialisation and sharding. Each list starts
// by naming all members of its struct, so that a member without an entry does not compile.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/config.h"
#include "tensor/tensor.h"

namespace nemotron {

struct MambaWeights {
  Matrix in_proj;            // [2D+2GN+NH, H]: rows z | x | B | C | dt
  Vector conv_weight;        // [CD, K]
  Vector conv_bias;          // [CD], empty without use_conv_bias
  Vector A_log, D, dt_bias;  // [NH]
  Vector norm;               // [D]
  Matrix out_proj;           // [H, D]
};

struct AttentionWeights {
  Matrix q_proj, k_proj, v_proj;  // [q*hd, H], [kv*hd, H], [kv*hd, H]
  Matrix o_proj;                  // [H, q*hd]
  Vector k_scale, v_scale;        // [1], the scales of an FP8 cache; empty: 1
};

struct Expert {
  Matrix up_proj, down_proj;  // [I, X], [X, I]
};

struct MoeWeights {
  Matrix gate;                              // [E, H]
  Vector e_score_correction_bias;           // [E]
  Matrix fc1_latent_proj, fc2_latent_proj;  // [X, H], [H, X]; empty without moe_latent_size
  std::vector<Expert> experts;              // [E]
  Matrix shared_up_proj, shared_down_proj;  // [S, H], [H, S]; empty without shared experts
};

struct MlpWeights {
  Matrix up_proj, down_proj;  // [intermediate, H], [H, intermediate]
};

struct LayerWeights {
  Vector norm;  // [H]
  std::variant<MambaWeights, AttentionWeights, MoeWeights, MlpWeights> mixer;
};

struct MtpWeights {
  Vector enorm, hnorm;  // [H]
  Matrix eh_proj;       // [H, 2H]: columns of the embedding, then of the hidden state
  std::vector<LayerWeights> layers;
  Vector final_layernorm;  // [H]
};

struct Weights {
  Matrix embeddings;  // [V, H]
  std::vector<LayerWeights> layers;
  Vector norm_f;   // [H]
  Matrix lm_head;  // [V, H]; the embeddings' own bytes when tied
  std::optional<MtpWeights> mtp;
};

enum class Role : uint8_t {
  embedding,
  head,
  norm,
  router,
  router_bias,
  conv,
  mamba_scalar,
  kv_scale,
  in,      // a Linear whose output is cut between ranks
  out,     // a Linear whose input is cut between ranks: its columns are summed in segments
  latent,  // fc1/fc2_latent_proj, eh_proj: whole on every rank
  expert,  // routed expert: whole experts are cut
};

// One tensor of the table.
struct Entry {
  std::string name;          // release name, "backbone.layers.3.mixer.in_proj.weight"
  std::vector<index> shape;  // as in the checkpoint; a quantized matrix keeps its logical [out, in]
  Role role;
  bool required = true;  // k_scale and v_scale may be absent
  index k_units = 1;     // Role::out: how many whole heads, groups or blocks the columns are
};

// How many equal runs the columns of W [out, in] are summed in, so that 1, 2, 4 or 8 ranks can give the same bits: the
// largest power of two up to 8 that leaves whole units, and whole blocks of 16 columns, in each run.
constexpr int k_segments(index cols, index k_units) {
  int s = 8;
  while (s > 1 && (k_units % s != 0 || cols % (16 * s) != 0)) s /= 2;
  return s;
}

// The lists. `visit(entry, member)` is called with a Matrix& or a Vector& for each tensor that the config promises.
template <class Visit>
void visit_weights(const Config& c, const std::string& p, MambaWeights& w, Visit&& visit) {
  auto& [in_proj, conv_weight, conv_bias, A_log, D, dt_bias, norm, out_proj] = w;
  visit(Entry{p + "in_proj.weight", {c.in_proj_rows(), c.hidden_size}, Role::in}, in_proj);
  visit(Entry{p + "conv1d.weight", {c.conv_channels(), 1, c.conv_kernel}, Role::conv}, conv_weight);
  if (c.use_conv_bias) visit(Entry{p + "conv1d.bias", {c.conv_channels()}, Role::conv}, conv_bias);
  visit(Entry{p + "A_log", {c.mamba_num_heads}, Role::mamba_scalar}, A_log);
  visit(Entry{p + "D", {c.mamba_num_heads}, Role::mamba_scalar}, D);
  visit(Entry{p + "dt_bias", {c.mamba_num_heads}, Role::mamba_scalar}, dt_bias);
  visit(Entry{p + "norm.weight", {c.mamba_inner()}, Role::norm}, norm);
  visit(Entry{p + "out_proj.weight", {c.hidden_size, c.mamba_inner()}, Role::out, true, c.n_groups}, out_proj);
}

template <class Visit>
void visit_weights(const Config& c, const std::string& p, AttentionWeights& w, Visit&& visit) {
  auto& [q_proj, k_proj, v_proj, o_proj, k_scale, v_scale] = w;
  visit(Entry{p + "q_proj.weight", {c.query_width(), c.hidden_size}, Role::in}, q_proj);
  visit(Entry{p + "k_proj.weight", {c.kv_width(), c.hidden_size}, Role::in}, k_proj);
  visit(Entry{p + "v_proj.weight", {c.kv_width(), c.hidden_size}, Role::in}, v_proj);
  visit(Entry{p + "o_proj.weight", {c.hidden_size, c.query_width()}, Role::out, true, c.num_attention_heads}, o_proj);
  visit(Entry{p + "k_proj.k_scale", {}, Role::kv_scale, false}, k_scale);
  visit(Entry{p + "v_proj.v_scale", {}, Role::kv_scale, false}, v_scale);
}

template <class Visit>
void visit_weights(const Config& c, const std::string& p, MoeWeights& w, Visit&& visit) {
  auto& [gate, bias, fc1_latent_proj, fc2_latent_proj, experts, shared_up_proj, shared_down_proj] = w;
  const index E = c.n_routed_experts, X = c.expert_width(), I = c.moe_intermediate_size;
  const index S = c.moe_shared_expert_intermediate_size;
  visit(Entry{p + "gate.weight", {E, c.hidden_size}, Role::router}, gate);
  visit(Entry{p + "gate.e_score_correction_bias", {E}, Role::router_bias}, bias);
  if (c.moe_latent_size) {
    visit(Entry{p + "fc1_latent_proj.weight", {X, c.hidden_size}, Role::latent}, fc1_latent_proj);
    visit(Entry{p + "fc2_latent_proj.weight", {c.hidden_size, X}, Role::latent}, fc2_latent_proj);
  }
  experts.resize(size_t(E));
  for (index e = 0; e < E; ++e) {
    const std::string q = p + "experts." + std::to_string(e) + ".";
    auto& [up_proj, down_proj] = experts[size_t(e)];
    visit(Entry{q + "up_proj.weight", {I, X}, Role::expert}, up_proj);
    visit(Entry{q + "down_proj.weight", {X, I}, Role::expert}, down_proj);
  }
  if (c.n_shared_experts) {
    visit(Entry{p + "shared_experts.up_proj.weight", {S, c.hidden_size}, Role::in}, shared_up_proj);
    visit(Entry{p + "shared_experts.down_proj.weight", {c.hidden_size, S}, Role::out, true, S / 16}, shared_down_proj);
  }
}

template <class Visit>
void visit_weights(const Config& c, const std::string& p, MlpWeights& w, Visit&& visit) {
  auto& [up_proj, down_proj] = w;
  const index I = c.intermediate_size;
  visit(Entry{p + "up_proj.weight", {I, c.hidden_size}, Role::in}, up_proj);
  visit(Entry{p + "down_proj.weight", {c.hidden_size, I}, Role::out, true, I / 16}, down_proj);
}

template <class Visit>
void visit_weights(const Config& c, LayerKind kind, const std::string& p, LayerWeights& w, Visit&& visit) {
  auto& [norm, mixer] = w;
  visit(Entry{p + "norm.weight", {c.hidden_size}, Role::norm}, norm);
  // A mixer of the right kind is kept, so that the list also walks a model that is loaded.
  const auto be = [&]<class Mixer>(Mixer*) {
    if (!std::holds_alternative<Mixer>(w.mixer)) w.mixer.template emplace<Mixer>();
  };
  switch (kind) {
    case LayerKind::mamba:
      be(static_cast<MambaWeights*>(nullptr));
      break;
    case LayerKind::attention:
      be(static_cast<AttentionWeights*>(nullptr));
      break;
    case LayerKind::moe:
      be(static_cast<MoeWeights*>(nullptr));
      break;
    case LayerKind::mlp:
      be(static_cast<MlpWeights*>(nullptr));
      break;
  }
  std::visit([&](auto& m) { visit_weights(c, p + "mixer.", m, visit); }, mixer);
}

template <class Visit>
void visit_weights(const Config& c, MtpWeights& w, Visit&& visit) {
  auto& [enorm, hnorm, eh_proj, layers, final_layernorm] = w;
  const std::string p = "mtp.layers.";
  visit(Entry{p + "0.enorm.weight", {c.hidden_size}, Role::norm}, enorm);
  visit(Entry{p + "0.hnorm.weight", {c.hidden_size}, Role::norm}, hnorm);
  visit(Entry{p + "0.eh_proj.weight", {c.hidden_size, 2 * c.hidden_size}, Role::latent}, eh_proj);
  layers.resize(c.mtp_layers.size());
  for (size_t j = 0; j < layers.size(); ++j)
    visit_weights(c, c.mtp_layers[j], p + std::to_string(j) + ".", layers[j], visit);
  visit(Entry{p + std::to_string(layers.size() - 1) + ".final_layernorm.weight", {c.hidden_size}, Role::norm},
        final_layernorm);
}

// All of a model, without its MTP block.
template <class Visit>
void visit_weights(const Config& c, Weights& w, Visit&& visit) {
  auto& [embeddings, layers, norm_f, lm_head, mtp] = w;
  static_cast<void>(mtp);  // whether it is there is the folder's to say: see the overload for MtpWeights
  visit(Entry{"backbone.embeddings.weight", {c.vocab_size, c.hidden_size}, Role::embedding}, embeddings);
  layers.resize(c.layers.size());
  for (size_t i = 0; i < layers.size(); ++i)
    visit_weights(c, c.layers[i], "backbone.layers." + std::to_string(i) + ".", layers[i], visit);
  visit(Entry{"backbone.norm_f.weight", {c.hidden_size}, Role::norm}, norm_f);
  if (!c.tie_word_embeddings) visit(Entry{"lm_head.weight", {c.vocab_size, c.hidden_size}, Role::head}, lm_head);
}

}  // namespace nemotron
