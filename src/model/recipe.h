// The precision recipes: in which format every tensor of the weight table is stored, and with which scales beside it.
//
// The weight table (model/weights.h) says which tensors a model has; this second, shorter table says how a folder
// stores them. Together they give every tensor of a published folder, its dtype, shape and bytes, without the folder:
// for writing one, and for planning (spec/model.md 2.1, 2.2, 8).

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/weights.h"

namespace nemotron {

// bf16   as the BF16 releases: everything BF16, e_score_correction_bias F32.
// fp8    the preset of the FP8 releases (spec/model.md 8.5; no header of one was seen, so the dtype of the gate and the
//        scales of keys and values are a prediction): Mamba's in_proj and out_proj, all experts and dense MLPs FP8 with
//        input_scale; attention, latent projections, gate, head and the MTP block BF16; k_scale and v_scale.
// nvfp4  what NVIDIA publishes under this name where the config is that of a release: Super's own map of layers (8.3),
//        Nano's rule (8.4), Ultra's (as `mixed`), Lightning's (W4A16: experts and head NVFP4 without input_scale,
//        Mamba FP8). Any other config gets Nano's rule: all Linears of the backbone NVFP4 except attention, latent
//        projections, head, and the Mamba layer before an attention layer; gate F32; no scales of keys and values.
// mixed  Super: its map, again. Any other: Ultra's recipe: routed experts NVFP4; shared experts, dense MLPs and Mamba's
//        in_proj and out_proj FP8; the rest BF16; k_scale and v_scale.
// nvfp4_even  "nvfp4-even". No release is stored so: every matrix of the layers NVFP4, attention and latent projections
//        too, the head FP8, embeddings and the MTP block BF16, the gate as published (F32; Super and Ultra BF16); no
//        scales of keys and values. 4.5 bits a weight and 8 a weight of the head, what llama.cpp's Q4_0 files with a
//        Q8_0 head have: for comparing speeds like for like.
// nvfp4_all  "nvfp4-all". The same with the head NVFP4, as Lightning's is: the fewest bytes.
enum class Recipe : uint8_t { bf16, fp8, nvfp4, mixed, nvfp4_even, nvfp4_all };
const char* recipe_name(Recipe recipe);
std::optional<Recipe> find_recipe(std::string_view name);

// One tensor as it lies in a folder.
struct StoredTensor {
  std::string name;        // "backbone.layers.3.mixer.in_proj.weight_scale"
  const char* dtype = "";  // as safetensors spells it: "BF16", "F32", "F8_E4M3", "U8"
  std::vector<index> shape;
  uint64_t bytes = 0;
};

// One entry of the weight table with everything a folder stores for it.
struct Stored {
  Entry entry;
  Format format = Format::bf16;
  std::optional<LayerKind> kind;      // of its layer; none: embeddings, norm_f, head, and the MTP block's own tensors
  index layer = -1;                   // its number in the folder, or within the MTP block; -1 where `kind` is none
  bool mtp = false;                   // part of the MTP block
  std::vector<StoredTensor> tensors;  // the weight, then weight_scale, weight_scale_2, input_scale as the format has

  uint64_t parameters() const;  // elements of the entry; 0 for scales of a cache
  uint64_t bytes() const;
};

// How one model is stored under a recipe. A slice of layers keeps the formats that its layers have in the whole model.
class Precision {
 public:
  // `whole` is the config of the whole model; layer i of a folder is layer `first_layer` + i of it.
  Precision(const Config& whole, Recipe recipe, index first_layer = 0);

  // What this stores for an entry of layer `layer` of the folder. Empty `tensors`: it is left out (scales of a cache).
  // Throws Error where the recipe asks for NVFP4 and the columns are no whole blocks of 16.
  Stored store(const Entry& entry, std::optional<LayerKind> kind, index layer, bool mtp) const;

  Recipe recipe() const { return recipe_; }
  // Whose map of formats is used. `general`: none of the others, or a recipe that is the same for all.
  enum class Map : uint8_t { general, nano, super, ultra, lightning };
  Map map() const { return map_; }
  bool cache_scales() const;  // k_scale and v_scale are stored
  bool weight_only() const;   // W4A16: NVFP4 without input_scale

 private:
  Format matrix_format(std::string_view module, Role role, index layer, bool mtp) const;
  Format by_general_rule(std::string_view module, Role role, index layer) const;

  std::vector<LayerKind> layers_;  // of the whole model
  Recipe recipe_;
  index first_layer_;
  Map map_ = Map::general;
  bool wide_gate_ = false;  // the gate is F32
};

// Visits what a folder stores, in the order of the weight table: the model, then its MTP block if the config has one.
void visit_stored(const Config& config, const Precision& precision, const std::function<void(const Stored&)>& visit);

}  // namespace nemotron
