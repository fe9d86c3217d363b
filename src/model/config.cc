// Reads config.json into a Config: aliases, schedules, ranges, and what is refused.

#include "model/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace nemotron {
namespace {

// Far above every model and far below where products of sizes overflow: a matrix has at most 2^44 elements.
constexpr index kMostWidth = index{1} << 20, kMostVocabulary = index{1} << 24, kMostHeads = index{1} << 16;
constexpr size_t kMostLayers = 4096;
constexpr index kMostExperts = index{1} << 18;  // in all layers together; Ultra has 25,088

std::string shown(const Json& value) { return printable(value.dump(), 60); }

// The members of an object, sorted once, so that reading many fields of a large file is not quadratic.
class Fields {
 public:
  Fields(const Json& json, std::string where) : where_(std::move(where)) {
    for (const auto& [name, value] : json.object()) members_.emplace_back(name, &value);
    std::sort(members_.begin(), members_.end());
  }

  // The member, or nullptr when it is absent or null.
  const Json* find(std::string_view name) const {
    const Json* value = find_even_null(name);
    return value && !value->is_null() ? value : nullptr;
  }

  bool is_null(std::string_view name) const {
    const Json* value = find_even_null(name);
    return value && value->is_null();
  }

  // Each of these leaves `out` as it is when the field is absent.
  void read(std::string_view name, index& out, index low, index high) const {
    const Json* value = find_even_null(name);
    if (!value) return;
    if (!value->is_int() || value->integer() < low || value->integer() > high)
      refuse(name, fmt::format("an integer from {} to {}", low, high), *value);
    out = value->integer();
  }
  void read(std::string_view name, double& out, double low, double high) const {
    const Json* value = find_even_null(name);
    if (!value) return;
    if (!value->is_number() || !(value->number() >= low && value->number() <= high))
      refuse(name, fmt::format("a number from {} to {}", low, high), *value);
    out = value->number();
  }
  void read(std::string_view name, bool& out) const {
    const Json* value = find_even_null(name);
    if (!value) return;
    if (!value->is_bool()) refuse(name, "true or false", *value);
    out = value->boolean();
  }
  void read(std::string_view name, std::string& out) const {
    const Json* value = find(name);
    if (!value) return;
    if (!value->is_string()) refuse(name, "a string", *value);
    out = value->string();
  }

  // What is not computed is refused, not ignored.
  void only(std::string_view name, const Json& allowed) const {
    const Json* value = find(name);
    if (value && *value != allowed) refuse(name, shown(allowed) + ", the only case that is computed", *value);
  }

  [[noreturn]] void refuse(std::string_view name, const std::string& expected, const Json& found) const {
    throw Error({.what = fmt::format("bad '{}'", name), .where = where_, .expected = expected, .found = shown(found)});
  }
  [[noreturn]] void refuse(std::string_view name, const std::string& what) const {
    throw Error({.what = fmt::format("'{}' {}", name, what), .where = where_});
  }

 private:
  const Json* find_even_null(std::string_view name) const {
    const auto at =
        std::lower_bound(members_.begin(), members_.end(), std::pair<std::string_view, const Json*>(name, nullptr));
    return at != members_.end() && at->first == name ? at->second : nullptr;
  }
  std::string where_;
  std::vector<std::pair<std::string_view, const Json*>> members_;
};

// ---- the schedule ----

LayerKind kind_of(const Fields& f, std::string_view field, std::string_view symbol, size_t position) {
  constexpr std::pair<std::string_view, LayerKind> names[] = {{"M", LayerKind::mamba},
                                                              {"mamba", LayerKind::mamba},
                                                              {"linear_attention", LayerKind::mamba},
                                                              {"*", LayerKind::attention},
                                                              {"attention", LayerKind::attention},
                                                              {"full_attention", LayerKind::attention},
                                                              {"E", LayerKind::moe},
                                                              {"moe", LayerKind::moe},
                                                              {"-", LayerKind::mlp},
                                                              {"mlp", LayerKind::mlp}};
  for (const auto& [name, kind] : names)
    if (name == symbol) return kind;
  f.refuse(fmt::format("{}[{}]", field, position),
           "M, E, * or -, or mamba, linear_attention, attention, full_attention, moe or mlp", Json(symbol));
}

// A pattern "ME*-" or a list of names.
std::vector<LayerKind> parse_schedule(const Fields& f, std::string_view field, const Json& value) {
  std::vector<LayerKind> out;
  const size_t count = value.is_string() ? value.string().size() : value.is_array() ? value.array().size() : 0;
  if (count == 0 || count > kMostLayers)
    f.refuse(field, fmt::format("a list of 1 to {} layer names, or a pattern such as \"ME*E\"", kMostLayers), value);
  for (size_t i = 0; i < count; ++i) {
    if (value.is_string()) {
      size_t end = i + 1;  // a symbol outside ASCII is shown whole
      while (end < count && (static_cast<unsigned char>(value.string()[end]) & 0xC0) == 0x80) ++end;
      out.push_back(kind_of(f, field, std::string_view(value.string()).substr(i, end - i), i));
    } else {
      const Json& item = value.array()[i];
      if (!item.is_string()) f.refuse(fmt::format("{}[{}]", field, i), "the name of a layer kind", item);
      out.push_back(kind_of(f, field, item.string(), i));
    }
  }
  return out;
}

void read_layers(const Fields& f, Config& c) {
  for (const char* field : {"layers_block_type", "layer_types", "hybrid_override_pattern"}) {
    if (const Json* value = f.find(field)) {
      c.layers = parse_schedule(f, field, *value);
      break;
    }
  }
  if (c.layers.empty())
    f.refuse("layers_block_type", "is missing, and so is 'hybrid_override_pattern': no schedule of layers");
  index count = index(c.layers.size());
  if (f.find("num_hidden_layers")) f.read("num_hidden_layers", count, 1, kMostLayers);
  if (count != index(c.layers.size()))
    f.refuse("num_hidden_layers", fmt::format("{}, the length of the schedule", c.layers.size()), Json(count));
}

void read_mtp_layers(const Fields& f, Config& c) {
  index blocks = 0;
  if (f.find("num_nextn_predict_layers")) f.read("num_nextn_predict_layers", blocks, 0, 1);
  if (blocks == 0) return;
  const std::vector<LayerKind> usual = {LayerKind::attention, LayerKind::moe};
  c.mtp_layers = usual;
  if (const Json* list = f.find("mtp_layers_block_type"))
    c.mtp_layers = parse_schedule(f, "mtp_layers_block_type", *list);
  const Json* pattern = f.find("mtp_hybrid_override_pattern");
  if (pattern && c.mtp_layers == usual)  // a list at its default says nothing, as in transformers
    c.mtp_layers = parse_schedule(f, "mtp_hybrid_override_pattern", *pattern);
}

// ---- groups of fields ----

void read_mamba(const Fields& f, Config& c) {
  f.read("mamba_num_heads", c.mamba_num_heads, 1, kMostHeads);
  f.read("mamba_head_dim", c.mamba_head_dim, 1, kMostHeads);
  for (const char* name : {"n_groups", "mamba_n_groups"}) f.read(name, c.n_groups, 1, kMostHeads);
  f.read("ssm_state_size", c.ssm_state_size, 1, kMostHeads);
  for (const char* name : {"conv_kernel", "mamba_d_conv"}) f.read(name, c.conv_kernel, 2, 4);
  for (const char* name : {"use_conv_bias", "mamba_conv_bias"}) f.read(name, c.use_conv_bias);
  f.only("mamba_hidden_act", "silu");
}

double limit(const Fields& f, const char* field, const Json& value) {
  if (value.is_number()) return value.number();
  if (const Json* text = value.find("__float__");
      text && text->is_string()) {  // transformers writes {"__float__": "Infinity"}
    if (text->string() == "Infinity") return std::numeric_limits<double>::infinity();
    if (text->string() == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  f.refuse(field, "two numbers", value);
}

void read_time_step_limit(const Fields& f, Config& c) {
  for (const char* field : {"time_step_limit", "mamba_dt_limit"}) {
    const Json* value = f.find(field);
    if (!value) continue;
    if (!value->is_array() || value->array().size() != 2) f.refuse(field, "a list of two numbers", *value);
    const double low = limit(f, field, value->array()[0]), high = limit(f, field, value->array()[1]);
    if (!(low <= 1e3)) f.refuse(field, "a lower limit of at most 1000", *value);
    if (!(high > 0 && std::isinf(high)))
      f.refuse(field, "an infinite upper limit, the only case that is computed", *value);
    c.time_step_limit_min = std::max(low, 0.0);  // a time step is a softplus: a limit below 0 limits nothing
  }
}

void read_attention(const Fields& f, Config& c) {
  f.read("num_attention_heads", c.num_attention_heads, 1, kMostHeads);
  f.read("head_dim", c.head_dim, 1, kMostHeads);
  if (f.is_null("num_key_value_heads"))
    c.num_key_value_heads = c.num_attention_heads;  // as transformers reads it
  else
    f.read("num_key_value_heads", c.num_key_value_heads, 1, kMostHeads);
  f.only("sliding_window", nullptr);
}

void read_moe(const Fields& f, Config& c) {
  for (const char* name : {"n_routed_experts", "num_local_experts"}) f.read(name, c.n_routed_experts, 1, kMostHeads);
  f.read("num_experts_per_tok", c.num_experts_per_tok, 1, kMostHeads);
  f.read("n_group", c.n_group, 1, kMostHeads);
  f.read("topk_group", c.topk_group, 1, kMostHeads);
  f.read("norm_topk_prob", c.norm_topk_prob);
  f.read("routed_scaling_factor", c.routed_scaling_factor, 0, 1e6);
  f.read("moe_intermediate_size", c.moe_intermediate_size, 1, kMostWidth);
  f.read("moe_shared_expert_intermediate_size", c.moe_shared_expert_intermediate_size, 1, kMostWidth);
  f.read("n_shared_experts", c.n_shared_experts, 0, 1);
  if (f.find("moe_latent_size")) f.read("moe_latent_size", c.moe_latent_size, 1, kMostWidth);
}

int32_t token_id(const Fields& f, const char* field, const Json& value) {
  if (!value.is_int() || value.integer() < -1 || value.integer() >= kMostVocabulary)
    f.refuse(field, fmt::format("token ids below {}", kMostVocabulary), value);
  return int32_t(value.integer());
}

void read_token(const Fields& f, const char* field, int32_t& id) {
  if (f.is_null(field)) id = -1;
  if (const Json* value = f.find(field)) id = token_id(f, field, *value);
}

void read_tokens(const Fields& f, Config& c) {
  read_token(f, "bos_token_id", c.bos_token_id);
  read_token(f, "pad_token_id", c.pad_token_id);
  if (f.is_null("eos_token_id")) c.eos_token_ids.clear();
  if (const Json* value = f.find("eos_token_id")) {
    c.eos_token_ids.clear();
    const std::span<const Json> ids = value->is_array() ? std::span<const Json>(value->array()) : std::span(value, 1);
    if (ids.size() > 1000) f.refuse("eos_token_id", "at most 1000 ids", Json("more"));
    for (const Json& id : ids) c.eos_token_ids.push_back(token_id(f, "eos_token_id", id));
    std::erase(c.eos_token_ids, -1);
  }
}

// ---- checks between fields ----

void check_mamba(const Fields& f, const Config& c) {
  if (c.mamba_num_heads % c.n_groups != 0)
    f.refuse("mamba_num_heads", fmt::format("a multiple of n_groups, {}", c.n_groups), Json(c.mamba_num_heads));
  if (c.mamba_inner() > kMostWidth)
    f.refuse("mamba_num_heads", fmt::format("times mamba_head_dim must be at most {}", kMostWidth));
  if (c.n_groups * c.ssm_state_size > kMostWidth)
    f.refuse("n_groups", fmt::format("times ssm_state_size must be at most {}", kMostWidth));
}

void check_attention(const Fields& f, const Config& c) {
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    f.refuse("num_attention_heads", fmt::format("a multiple of num_key_value_heads, {}", c.num_key_value_heads),
             Json(c.num_attention_heads));
  if (c.query_width() > kMostWidth)
    f.refuse("num_attention_heads", fmt::format("times head_dim must be at most {}", kMostWidth));
}

void check_moe(const Fields& f, const Config& c) {
  const index E = c.n_routed_experts;
  if (E % c.n_group != 0) f.refuse("n_group", fmt::format("a divisor of n_routed_experts, {}", E), Json(c.n_group));
  if (c.topk_group > c.n_group)
    f.refuse("topk_group", fmt::format("at most n_group, {}", c.n_group), Json(c.topk_group));
  const index kept = E / c.n_group * c.topk_group;
  if (c.num_experts_per_tok > kept) {
    f.refuse("num_experts_per_tok",
             fmt::format("at most {}, the experts {}", kept, c.n_group > 1 ? "of the groups kept" : "there are"),
             Json(c.num_experts_per_tok));
  }
  // A group's score is the sum of its two best experts (spec/model.md 5.2).
  if (c.n_group > 1 && E / c.n_group < 2) f.refuse("n_group", "groups of at least two experts", Json(c.n_group));
}

void check(const Fields& f, const Config& c) {
  const auto uses = [&](LayerKind kind) {
    return std::count(c.layers.begin(), c.layers.end(), kind) +
           std::count(c.mtp_layers.begin(), c.mtp_layers.end(), kind);
  };
  if (uses(LayerKind::mamba)) check_mamba(f, c);
  if (uses(LayerKind::attention)) check_attention(f, c);
  if (uses(LayerKind::moe)) check_moe(f, c);
  if (uses(LayerKind::moe) * c.n_routed_experts > kMostExperts)
    f.refuse("n_routed_experts", fmt::format("at most {} in all layers", kMostExperts), Json(c.n_routed_experts));
}

}  // namespace

Config parse_config(const Json& json, const std::string& where) {
  if (!json.is_object())
    throw Error({.what = "no config", .where = where, .expected = "an object", .found = json.kind()});
  for (const char* inner : {"llm_config", "text_config"}) {
    if (const Json* text = Fields(json, where).find(inner); text && text->is_object()) {
      Config c = parse_config(*text, where + ": " + inner);
      c.multimodal = true;
      return c;
    }
  }

  const Fields f(json, where);
  Config c;
  f.read("model_type", c.model_type);
  if (f.find("model_type") && c.model_type != "nemotron_h") f.refuse("model_type", "nemotron_h", Json(c.model_type));
  for (const char* field : {"block_configs", "mtp_block_configs"})
    if (f.find(field)) f.refuse(field, "gives layers sizes of their own (Puzzle models), which is not supported");
  for (const char* field : {"attention_bias", "mlp_bias", "use_bias"}) f.only(field, false);
  f.only("mlp_hidden_act", "relu2");

  f.read("vocab_size", c.vocab_size, 1, kMostVocabulary);
  f.read("hidden_size", c.hidden_size, 1, kMostWidth);
  f.read("intermediate_size", c.intermediate_size, 1, kMostWidth);
  f.read("layer_norm_epsilon", c.layer_norm_epsilon, 0, 1);
  f.read("tie_word_embeddings", c.tie_word_embeddings);
  f.read("max_position_embeddings", c.max_position_embeddings, 1, index{1} << 40);
  for (const char* field : {"torch_dtype", "dtype"}) f.read(field, c.dtype);
  read_layers(f, c);
  read_mtp_layers(f, c);
  read_mamba(f, c);
  read_time_step_limit(f, c);
  read_attention(f, c);
  read_moe(f, c);
  read_tokens(f, c);
  check(f, c);
  return c;
}

}  // namespace nemotron
