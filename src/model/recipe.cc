// The maps of formats of the published folders, and the tensors that each format needs.

#include "model/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/error.h"
#include "model/presets.h"

namespace nemotron {
namespace {

constexpr const char* kNames[] = {"bf16", "fp8", "nvfp4", "mixed", "nvfp4-even", "nvfp4-all"};

// Super NVFP4: the modules of which layers are FP8 (spec/model.md 8.3, from the release's quantization_config). Its
// routed experts are NVFP4, so is layer 1's shared down_proj; everything else is BF16.
struct ModuleLayers {
  std::string_view module;
  std::span<const uint8_t> layers;
};
constexpr uint8_t kInProj[] = {0,  2,  4,  6,  9,  11, 13, 15, 18, 20, 27, 29, 31, 40,
                               49, 51, 53, 55, 57, 60, 62, 66, 68, 71, 73, 82, 84, 86};
constexpr uint8_t kOutProj[] = {0,  2,  4,  9,  11, 13, 18, 38, 40, 42, 44, 49, 51, 53, 55,
                                57, 60, 62, 64, 66, 68, 71, 73, 75, 77, 80, 82, 84, 86};
constexpr uint8_t kSharedUp[] = {1,  3,  5,  8,  10, 12, 14, 17, 19, 21, 23, 26, 28, 30, 32, 34, 37, 39, 43, 45,
                                 48, 50, 52, 54, 56, 59, 61, 63, 65, 67, 70, 72, 74, 76, 79, 81, 83, 85, 87};
constexpr uint8_t kSharedDown[] = {3,  5,  10, 12, 14, 17, 19, 21, 23, 26, 28, 30, 32, 34, 37, 39, 41, 43, 45,
                                   48, 50, 52, 54, 56, 59, 61, 63, 65, 67, 70, 72, 74, 79, 81, 83, 85, 87};
constexpr uint8_t kFc1[] = {1, 3, 5}, kFc2[] = {3}, kOProj[] = {69, 78};
constexpr ModuleLayers kSuperFp8[] = {{"in_proj", kInProj},
                                      {"out_proj", kOutProj},
                                      {"shared_experts.up_proj", kSharedUp},
                                      {"shared_experts.down_proj", kSharedDown},
                                      {"fc1_latent_proj", kFc1},
                                      {"fc2_latent_proj", kFc2},
                                      {"o_proj", kOProj}};

Format super_format(std::string_view module, Role role, index layer) {
  if (role == Role::expert || (layer == 1 && module == "shared_experts.down_proj")) return Format::nvfp4;
  for (const auto& [name, layers] : kSuperFp8)
    if (name == module)
      return std::find(layers.begin(), layers.end(), layer) != layers.end() ? Format::fp8 : Format::bf16;
  return Format::bf16;
}

bool is_mamba(std::string_view module) { return module == "in_proj" || module == "out_proj"; }
bool is_attention(std::string_view m) { return m == "q_proj" || m == "k_proj" || m == "v_proj" || m == "o_proj"; }

// What is left is shared experts and dense MLPs.
bool is_always_plain(std::string_view module, Role role) {
  return role == Role::embedding || role == Role::head || role == Role::router || role == Role::latent ||
         is_attention(module);
}

Format even_format(Role role, Recipe recipe) {
  if (role == Role::head && recipe == Recipe::nvfp4_even) return Format::fp8;
  return role == Role::embedding || role == Role::router ? Format::bf16 : Format::nvfp4;
}

// "backbone.layers.3.mixer.experts.7.up_proj.weight" as "experts.7.up_proj".
std::string_view module_of(std::string_view name) {
  if (name.ends_with(".weight")) name.remove_suffix(7);
  const size_t mixer = name.find(".mixer.");
  return mixer == name.npos ? name : name.substr(mixer + 7);
}

StoredTensor tensor(std::string name, const char* dtype, std::vector<index> shape, uint64_t element) {
  StoredTensor t{std::move(name), dtype, std::move(shape), element};
  for (const index n : t.shape) t.bytes *= uint64_t(n);
  return t;
}

}  // namespace

const char* recipe_name(Recipe recipe) { return kNames[size_t(recipe)]; }

std::optional<Recipe> find_recipe(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (name == kNames[i]) return Recipe(i);
  return {};
}

uint64_t Stored::parameters() const {
  if (entry.role == Role::kv_scale) return 0;
  uint64_t n = 1;
  for (const index size : entry.shape) n *= uint64_t(size);
  return n;
}

uint64_t Stored::bytes() const {
  uint64_t sum = 0;
  for (const StoredTensor& t : tensors) sum += t.bytes;
  return sum;
}

Precision::Precision(const Config& whole, Recipe recipe, index first_layer)
    : layers_(whole.layers), recipe_(recipe), first_layer_(first_layer) {
  if (recipe == Recipe::bf16 || recipe == Recipe::fp8) return;
  const Preset* preset = preset_of(whole);
  const std::string_view name = preset ? preset->name : "";
  wide_gate_ = recipe != Recipe::mixed && name != "Super" && name != "Ultra";
  if (recipe == Recipe::nvfp4_even || recipe == Recipe::nvfp4_all) return;
  if (name == "Super")
    map_ = Map::super;
  else if (recipe == Recipe::mixed || name == "Ultra")
    map_ = Map::ultra;
  else
    map_ = name == "Lightning" ? Map::lightning : Map::nano;
}

bool Precision::cache_scales() const { return recipe_ == Recipe::fp8 || (map_ != Map::general && map_ != Map::nano); }

bool Precision::weight_only() const { return map_ == Map::lightning; }

Format Precision::by_general_rule(std::string_view module, Role role, index layer) const {
  if (map_ == Map::lightning && role == Role::head) return Format::nvfp4;
  if (is_always_plain(module, role)) return Format::bf16;
  switch (map_) {
    case Map::nano: {
      const size_t next = size_t(layer) + 1;
      const bool before_attention = next < layers_.size() && layers_[next] == LayerKind::attention;
      return is_mamba(module) && before_attention ? Format::bf16 : Format::nvfp4;
    }
    case Map::lightning:
      return is_mamba(module) ? Format::fp8 : Format::nvfp4;
    case Map::ultra:
      return role == Role::expert ? Format::nvfp4 : Format::fp8;
    default:
      return Format::fp8;
  }
}

// `layer` counts in the whole model; -1 outside the layers.
Format Precision::matrix_format(std::string_view module, Role role, index layer, bool mtp) const {
  if (role == Role::router && wide_gate_ && !mtp) return Format::f32;
  if (mtp || recipe_ == Recipe::bf16) return Format::bf16;
  if (recipe_ == Recipe::nvfp4_even || recipe_ == Recipe::nvfp4_all) return even_format(role, recipe_);
  return map_ == Map::super ? super_format(module, role, layer) : by_general_rule(module, role, layer);
}

Stored Precision::store(const Entry& entry, std::optional<LayerKind> kind, index layer, bool mtp) const {
  Stored s{.entry = entry, .kind = kind, .layer = layer, .mtp = mtp, .tensors = {}};
  const bool quantizable = entry.shape.size() == 2;
  if (entry.role == Role::router_bias || entry.role == Role::kv_scale)
    s.format = Format::f32;
  else if (quantizable)
    s.format = matrix_format(module_of(entry.name), entry.role, layer < 0 || mtp ? -1 : first_layer_ + layer, mtp);

  // Lightning's activation and cache scales are lists of one number, its weight scales scalars; all others are scalars.
  const std::vector<index> odd_scalar = map_ == Map::lightning ? std::vector<index>{1} : std::vector<index>{};
  if (entry.role == Role::kv_scale) {
    if (cache_scales() && !mtp) s.tensors.push_back(tensor(entry.name, "F32", odd_scalar, 4));
    return s;
  }
  const std::string module = entry.name.substr(0, entry.name.size() - (entry.name.ends_with(".weight") ? 7 : 0));
  const auto scalar = [&](const char* suffix, std::vector<index> shape) {
    s.tensors.push_back(tensor(module + suffix, "F32", std::move(shape), 4));
  };
  switch (s.format) {
    case Format::nvfp4: {
      const index rows = entry.shape[0], cols = entry.shape[1];
      if (cols % Nvfp4::kBlock != 0) {
        throw Error({.what = "NVFP4 needs whole blocks of 16 columns",
                     .where = entry.name,
                     .expected = "a multiple of 16 columns",
                     .found = fmt::format("[{}, {}]", rows, cols),
                     .hint = "this model can be stored as bf16 or fp8"});
      }
      s.tensors.push_back(tensor(entry.name, "U8", {rows, cols / 2}, 1));
      s.tensors.push_back(tensor(module + ".weight_scale", "F8_E4M3", {rows, cols / Nvfp4::kBlock}, 1));
      scalar(".weight_scale_2", {});
      if (!weight_only()) scalar(".input_scale", {});
      break;
    }
    case Format::fp8:
      s.tensors.push_back(tensor(entry.name, "F8_E4M3", entry.shape, 1));
      scalar(".weight_scale", {});
      scalar(".input_scale", odd_scalar);
      break;
    case Format::f32:
      s.tensors.push_back(tensor(entry.name, "F32", entry.shape, 4));
      break;
    default:
      s.tensors.push_back(tensor(entry.name, "BF16", entry.shape, 2));
  }
  return s;
}

void visit_stored(const Config& config, const Precision& precision, const std::function<void(const Stored&)>& visit) {
  const auto walk = [&](std::string_view prefix, const std::vector<LayerKind>& layers, bool mtp) {
    return [&, prefix, mtp](const Entry& entry, auto&) {
      index layer = -1;
      std::optional<LayerKind> kind;
      const std::string_view name = entry.name;
      if (name.starts_with(prefix)) std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
      // The MTP block numbers its own norms and eh_proj like layers; its layers are what has a norm and a mixer.
      const size_t dot = name.find('.', prefix.size());
      const std::string_view member = layer < 0 ? "" : name.substr(dot + 1);
      if (member == "norm.weight" || member.starts_with("mixer."))
        kind = layers[size_t(layer)];
      else
        layer = -1;
      visit(precision.store(entry, kind, layer, mtp));
    };
  };
  Weights shape;  // only its shape is used: visiting it lists the tensors
  visit_weights(config, shape, walk("backbone.layers.", config.layers, false));
  if (!config.mtp_layers.empty())
    visit_weights(config, shape.mtp.emplace(), walk("mtp.layers.", config.mtp_layers, true));
}

}  // namespace nemotron
