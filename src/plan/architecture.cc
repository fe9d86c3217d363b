// Walks the weight table of a Nemotron-H model and adds up what is alike.

#include "plan/architecture.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace nemotron {
namespace {

struct StoredFacts {
  const char* name;
  double bits;
};
constexpr StoredFacts kFormats[] = {{"F32", 32}, {"BF16", 16},   {"F16", 16},
                                    {"FP8", 8},  {"NVFP4", 4.5}, {"MXFP4", 4.25}};

struct PartFacts {
  const char* name;
  const char* key;
};
constexpr PartFacts kParts[] = {{"Mamba-2", "mamba"},       {"linear attention", "linear_attention"},
                                {"attention", "attention"}, {"mixture of experts", "moe"},
                                {"dense MLP", "mlp"},       {"embeddings", "embeddings"},
                                {"head", "head"},           {"final norm", "final_norm"},
                                {"MTP block", "mtp"}};

Part part_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::mamba:
      return Part::mamba;
    case LayerKind::attention:
      return Part::attention;
    case LayerKind::moe:
      return Part::moe;
    case LayerKind::mlp:
      break;
  }
  return Part::mlp;
}

bool is_multiplied(Role role) {
  switch (role) {
    case Role::head:
    case Role::router:
    case Role::in:
    case Role::out:
    case Role::latent:
    case Role::expert:
      return true;
    case Role::embedding:
    case Role::norm:
    case Role::router_bias:
    case Role::conv:
    case Role::mamba_scalar:
    case Role::kv_scale:
      break;
  }
  return false;
}

// Adds each tensor to its group.
class Adder {
 public:
  Adder(const Config& config, std::vector<WeightGroup>& groups) : config_(config), groups_(groups) {}

  void add(const Entry& entry, const TensorPlace& place, const HowStored& stored) {
    WeightGroup key;
    key.part = part_for(entry, place);
    key.format = stored.format;
    key.multiplied = is_multiplied(entry.role);
    if (entry.role == Role::embedding) key.multiplied = config_.tie_word_embeddings;  // it is then the head, too
    if (entry.role == Role::expert) {
      key.experts = uint64_t(config_.n_routed_experts);
      key.picks = uint64_t(config_.num_experts_per_tok);
    }
    WeightGroup& group = find(key);
    Count n = 1;
    for (const index size : entry.shape) n = n * uint64_t(size);
    if (entry.role != Role::kv_scale) group.parameters += n;  // scales of a cache are no parameters
    group.bytes += stored.bytes;
  }

 private:
  static Part part_for(const Entry& entry, const TensorPlace& place) {
    if (place.mtp) return Part::mtp;
    if (place.kind) return part_of(*place.kind);
    return entry.role == Role::embedding ? Part::embedding : entry.role == Role::head ? Part::head : Part::final_norm;
  }

  WeightGroup& find(const WeightGroup& key) {
    const auto same = [&](const WeightGroup& g) {
      return g.part == key.part && g.format == key.format && g.multiplied == key.multiplied && g.experts == key.experts;
    };
    const auto at = std::find_if(groups_.begin(), groups_.end(), same);
    return at != groups_.end() ? *at : groups_.emplace_back(key);
  }

  const Config& config_;
  std::vector<WeightGroup>& groups_;
};

// A name tells its layer: "backbone.layers.7.norm.weight", "mtp.layers.1.mixer.gate.weight".
TensorPlace place_of(const Config& c, const std::string& name) {
  TensorPlace place;
  place.mtp = name.starts_with("mtp.");
  const std::string_view prefix = place.mtp ? "mtp.layers." : "backbone.layers.";
  if (!name.starts_with(prefix)) return place;
  place.layer = index(std::stoull(name.substr(prefix.size())));
  place.kind = (place.mtp ? c.mtp_layers : c.layers)[size_t(place.layer)];
  return place;
}

// Numbers a token that a layer of ours holds at once: its own rows beside the residual stream, its norm and the result.
uint64_t live_numbers(const Config& c, LayerKind kind) {
  const auto H = uint64_t(c.hidden_size), k = uint64_t(c.num_experts_per_tok), X = uint64_t(c.expert_width());
  const uint64_t stream = 3 * H;
  switch (kind) {
    case LayerKind::mamba:
      return stream + uint64_t(c.in_proj_rows() + c.conv_channels() + 2 * c.mamba_inner());
    case LayerKind::attention:
      return stream + 2 * uint64_t(c.query_width() + c.kv_width());
    case LayerKind::moe:
      return stream + uint64_t(c.n_routed_experts) + k * (2 * X + uint64_t(c.moe_intermediate_size)) +
             (c.moe_latent_size ? 2 * X : 0) +
             (c.n_shared_experts ? uint64_t(c.moe_shared_expert_intermediate_size) + H : 0);
    case LayerKind::mlp:
      break;
  }
  return stream + uint64_t(c.intermediate_size);
}

}  // namespace

const char* format_name(NumberFormat s) { return kFormats[size_t(s)].name; }
double format_bits(NumberFormat s) { return kFormats[size_t(s)].bits; }

NumberFormat number_format(Format f) {
  switch (f) {
    case Format::f32:
      return NumberFormat::f32;
    case Format::bf16:
      return NumberFormat::bf16;
    case Format::f16:
      return NumberFormat::f16;
    case Format::fp8:
      return NumberFormat::fp8;
    case Format::nvfp4:
      break;
  }
  return NumberFormat::nvfp4;
}

Count bytes_of(NumberFormat s, Count numbers) {
  const Count quarter_bits = numbers * uint64_t(format_bits(s) * 4);
  return (quarter_bits.value() + 31) / 32;
}

const char* part_name(Part p) { return kParts[size_t(p)].name; }
const char* part_key(Part p) { return kParts[size_t(p)].key; }

Architecture describe(const Config& c, bool with_mtp,
                      const std::function<HowStored(const Entry&, const TensorPlace&)>& how) {
  Architecture a;
  a.hidden = uint64_t(c.hidden_size);
  a.vocabulary = uint64_t(c.vocab_size);
  a.most_context = uint64_t(c.max_position_embeddings);
  for (const LayerKind kind : c.layers) {
    ++a.layers[part_of(kind)];
    a.activations = std::max(a.activations, live_numbers(c, kind));
  }
  if (const auto n = a.layers.find(Part::attention); n != a.layers.end())
    a.attention.push_back({.layers = n->second,
                           .heads = uint64_t(c.num_attention_heads),
                           .kv_heads = uint64_t(c.num_key_value_heads),
                           .head_dim = uint64_t(c.head_dim)});
  if (const auto n = a.layers.find(Part::mamba); n != a.layers.end())
    a.recurrent.push_back({.part = Part::mamba,
                           .layers = n->second,
                           .state = uint64_t(c.mamba_inner()) * uint64_t(c.ssm_state_size),
                           .conv_channels = uint64_t(c.conv_channels()),
                           .conv_kernel = uint64_t(c.conv_kernel),
                           .flops_a_number = 5});

  Adder adder(c, a.weights);
  const auto visit = [&](const Entry& entry, auto&) {
    const TensorPlace place = place_of(c, entry.name);
    adder.add(entry, place, how(entry, place));
  };
  Weights shape;  // only its shape is used: visiting it lists the tensors
  visit_weights(c, shape, visit);
  if (with_mtp && !c.mtp_layers.empty()) {
    visit_weights(c, shape.mtp.emplace(), visit);
    for (const LayerKind kind : c.mtp_layers)
      if (kind == LayerKind::attention) a.mtp_cache += Count(2) * uint64_t(c.kv_width());
  }
  return a;
}

Architecture describe(const Config& c, Recipe recipe) {
  const Precision precision(c, recipe);
  return describe(c, true, [&](const Entry& entry, const TensorPlace& place) {
    const Stored stored = precision.store(entry, place.kind, place.layer, place.mtp);
    return HowStored{number_format(stored.format), stored.bytes()};
  });
}

Parameters parameters(const Architecture& a, Part part) {
  Parameters p;
  for (const WeightGroup& g : a.weights) {
    if (g.part != part) continue;
    p.total += g.parameters;
    p.active += Count(g.parameters.value() / g.experts) * g.picks;
  }
  return p;
}

Parameters parameters(const Architecture& a) {
  Parameters p;
  for (size_t i = 0; i < std::size(kParts); ++i) {
    const Part part{uint8_t(i)};
    const Parameters of = parameters(a, part);
    if (part == Part::mtp) {
      p.mtp = of.total;
      continue;
    }
    p.total += of.total;
    p.active += of.active;
    if (part == Part::embedding) p.input_embedding = of.total;
    if (part == Part::head) p.head = of.total;
  }
  return p;
}

Count weight_bytes(const Architecture& a, bool with_mtp) {
  Count bytes;
  for (const WeightGroup& g : a.weights)
    if (with_mtp || g.part != Part::mtp) bytes += g.bytes;
  return bytes;
}

}  // namespace nemotron
