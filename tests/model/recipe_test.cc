// The presets and the recipes: the published counts of tensors and bytes, the names, and what slices keep.

#include "model/recipe.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/error.h"
#include "model/presets.h"

namespace nemotron {
namespace {

struct Totals {
  uint64_t tensors = 0, bytes = 0, parameters = 0;
  std::map<Format, uint64_t> matrices;
  std::map<std::string, uint64_t> dtypes;
};

Totals totals(const Config& config, const Precision& precision) {
  Totals t;
  visit_stored(config, precision, [&](const Stored& s) {
    t.tensors += s.tensors.size();
    t.bytes += s.bytes();
    t.parameters += s.parameters();
    if (s.entry.shape.size() == 2) ++t.matrices[s.format];
    for (const StoredTensor& tensor : s.tensors) ++t.dtypes[tensor.dtype];
  });
  return t;
}

Totals totals(const char* name, Recipe recipe) {
  const Config& config = find_preset(name)->config;
  return totals(config, Precision(config, recipe));
}

TEST(Recipe, gives_the_published_totals) {
  const Totals super_bf16 = totals("super", Recipe::bf16);
  EXPECT_EQ(super_bf16.tensors, 42683u);
  EXPECT_EQ(super_bf16.bytes, 247222108160u);
  EXPECT_EQ(super_bf16.parameters, 123611033088u);
  EXPECT_EQ(super_bf16.dtypes.at("F32"), 41u);
  for (const Recipe recipe : {Recipe::nvfp4, Recipe::mixed}) {
    const Totals super_nvfp4 = totals("super", recipe);
    EXPECT_EQ(super_nvfp4.tensors, 165860u);
    EXPECT_EQ(super_nvfp4.bytes, 80297329824u);
    EXPECT_EQ(super_nvfp4.matrices.at(Format::nvfp4), 40961u);
    EXPECT_EQ(super_nvfp4.matrices.at(Format::fp8), 139u);
  }
  const Totals super_fp8 = totals("super", Recipe::fp8);
  EXPECT_EQ(super_fp8.tensors, 124939u);
  EXPECT_EQ(super_fp8.bytes, 128334890304u);
  const Totals nano_nvfp4 = totals("nano", Recipe::nvfp4);
  EXPECT_EQ(nano_nvfp4.tensors, 24147u);
  EXPECT_EQ(nano_nvfp4.bytes, 19339781632u);
  EXPECT_EQ(nano_nvfp4.matrices.at(Format::nvfp4), 5968u);
  EXPECT_EQ(nano_nvfp4.matrices.count(Format::fp8), 0u);
  EXPECT_EQ(nano_nvfp4.parameters, 31577940288u);
  const Totals ultra_bf16 = totals("ultra", Recipe::bf16);
  EXPECT_EQ(ultra_bf16.tensors, 51023u);
  EXPECT_EQ(ultra_bf16.parameters, 560524603904u);
  EXPECT_EQ(totals("lightning", Recipe::nvfp4).tensors, 18487u);
  EXPECT_EQ(totals("lightning", Recipe::bf16).bytes, 65826538624u);
}

TEST(Recipe, ultra_in_nvfp4_is_its_mixed_recipe) {
  const Totals a = totals("ultra", Recipe::nvfp4), b = totals("ultra", Recipe::mixed);
  EXPECT_EQ(a.tensors, b.tensors);
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_GT(a.bytes, 331'000'000'000u);  // published as about 331 to 352 GB
  EXPECT_LT(a.bytes, 352'000'000'000u);
}

std::map<std::string, Stored> stored(const Config& config, const Precision& precision) {
  std::map<std::string, Stored> out;
  visit_stored(config, precision, [&](const Stored& s) { out.emplace(s.entry.name, s); });
  return out;
}

TEST(Recipe, a_slice_keeps_the_formats_of_its_layers) {
  const std::pair<const char*, Recipe> models[] = {
      {"nano", Recipe::nvfp4}, {"super", Recipe::mixed}, {"lightning", Recipe::nvfp4}};
  for (const auto& [name, recipe] : models) {
    const Config& whole = find_preset(name)->config;
    Config slice = whole;
    slice.mtp_layers.clear();
    slice.layers.assign(whole.layers.begin() + 3, whole.layers.begin() + 12);
    const auto all = stored(whole, Precision(whole, recipe)), part = stored(slice, Precision(whole, recipe, 3));
    size_t compared = 0;
    for (const auto& [entry, s] : part) {
      if (!s.kind) continue;
      const std::string rest = entry.substr(entry.find('.', 16));
      const Stored& same = all.at("backbone.layers." + std::to_string(s.layer + 3) + rest);
      EXPECT_EQ(s.format, same.format) << entry;
      EXPECT_EQ(s.bytes(), same.bytes()) << entry;
      EXPECT_EQ(s.tensors.size(), same.tensors.size()) << entry;
      ++compared;
    }
    EXPECT_GT(compared, 1000u);
  }
}

TEST(Recipe, says_layer_and_kind_of_every_tensor) {
  const Config& config = find_preset("super")->config;
  const auto all = stored(config, Precision(config, Recipe::bf16));
  const Stored& deep = all.at("backbone.layers.87.mixer.experts.511.up_proj.weight");
  EXPECT_EQ(deep.kind, LayerKind::moe);
  EXPECT_EQ(deep.layer, 87);
  EXPECT_FALSE(deep.mtp);
  EXPECT_EQ(all.at("backbone.embeddings.weight").kind, std::nullopt);
  EXPECT_EQ(all.at("mtp.layers.0.eh_proj.weight").kind, std::nullopt);
  EXPECT_TRUE(all.at("mtp.layers.0.eh_proj.weight").mtp);
  EXPECT_EQ(all.at("mtp.layers.1.final_layernorm.weight").layer, -1);
  EXPECT_EQ(all.at("mtp.layers.0.mixer.q_proj.weight").kind, LayerKind::attention);
  EXPECT_EQ(all.at("mtp.layers.1.norm.weight").kind, LayerKind::moe);
}

TEST(Recipe, lightning_writes_scales_as_it_is_published) {
  const Config& config = find_preset("lightning")->config;
  const auto all = stored(config, Precision(config, Recipe::nvfp4));
  const auto shapes = [&](const char* name) {
    std::map<std::string, std::vector<index>> out;
    for (const StoredTensor& t : all.at(name).tensors) out[t.name.substr(t.name.rfind('.') + 1)] = t.shape;
    return out;
  };
  using Shapes = std::map<std::string, std::vector<index>>;
  EXPECT_EQ(shapes("backbone.layers.0.mixer.in_proj.weight"),
            (Shapes{{"weight", {10304, 2688}}, {"weight_scale", {}}, {"input_scale", {1}}}));
  EXPECT_EQ(shapes("backbone.layers.1.mixer.experts.0.down_proj.weight"),
            (Shapes{{"weight", {2688, 928}}, {"weight_scale", {2688, 116}}, {"weight_scale_2", {}}}));
  EXPECT_EQ(shapes("backbone.layers.5.mixer.k_proj.k_scale"), (Shapes{{"k_scale", {1}}}));
  EXPECT_EQ(all.at("lm_head.weight").format, Format::nvfp4);
  EXPECT_EQ(all.at("backbone.layers.1.mixer.gate.weight").format, Format::f32);
  EXPECT_EQ(all.at("mtp.layers.1.mixer.gate.weight").format, Format::bf16);
}

TEST(Recipe, nvfp4_even_leaves_no_matrix_of_a_layer_wider) {
  for (const char* name : {"nano", "super", "ultra", "lightning"}) {
    const Config& config = find_preset(name)->config;
    const Precision precision(config, Recipe::nvfp4_even), published(config, Recipe::nvfp4);
    EXPECT_FALSE(precision.cache_scales());
    std::map<std::string, Format> gates;
    visit_stored(config, published, [&](const Stored& s) {
      if (s.entry.role == Role::router) gates[s.entry.name] = s.format;
    });
    uint64_t bits = 0, weights = 0;
    visit_stored(config, precision, [&](const Stored& s) {
      if (s.entry.shape.size() != 2) return;
      const Format expected = s.entry.role == Role::router      ? gates.at(s.entry.name)
                              : s.entry.role == Role::head      ? Format::fp8
                              : s.mtp                           ? Format::bf16
                              : s.entry.role == Role::embedding ? Format::bf16
                                                                : Format::nvfp4;
      ASSERT_EQ(s.format, expected) << name << ": " << s.entry.name;
      if (s.format == Format::nvfp4) bits += 8 * s.bytes(), weights += s.parameters();
    });
    EXPECT_NEAR(double(bits) / double(weights), 4.5, 1e-4) << name;
  }
  const auto mixers = stored(find_preset("nano")->config, Precision(find_preset("nano")->config, Recipe::nvfp4_even));
  for (const char* module : {"5.mixer.q_proj", "5.mixer.o_proj", "4.mixer.in_proj", "1.mixer.shared_experts.up_proj"})
    EXPECT_EQ(mixers.at("backbone.layers." + std::string(module) + ".weight").format, Format::nvfp4) << module;
}

TEST(Recipe, nvfp4_all_differs_from_even_in_the_head_alone) {
  const Config& config = find_preset("nano")->config;
  const auto even = stored(config, Precision(config, Recipe::nvfp4_even));
  for (const auto& [name, tensor] : stored(config, Precision(config, Recipe::nvfp4_all)))
    EXPECT_EQ(tensor.format, name == "lm_head.weight" ? Format::nvfp4 : even.at(name).format) << name;
}

TEST(Recipe, refuses_nvfp4_of_broken_blocks) {
  Config config = find_preset("nano")->config;
  config.moe_intermediate_size = 1850;
  EXPECT_NO_THROW(totals(config, Precision(config, Recipe::fp8)));
  try {
    totals(config, Precision(config, Recipe::nvfp4));
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("experts.0.down_proj.weight"), std::string::npos) << e.what();
  }
}

TEST(Recipe, names_are_found) {
  for (const char* name : {"bf16", "fp8", "nvfp4", "mixed", "nvfp4-even", "nvfp4-all"})
    EXPECT_STREQ(recipe_name(*find_recipe(name)), name);
  EXPECT_FALSE(find_recipe("int4"));
  EXPECT_FALSE(find_recipe(""));
}

TEST(Presets, are_found_under_their_usual_names) {
  const auto name = [](const char* text, std::string* format = nullptr) {
    const Preset* p = find_preset(text, format);
    return std::string(p ? p->name : "none");
  };
  for (const char* text :
       {"Super", "SUPER", "super-120b-a12b", "super_120b", "Nemotron-3-Super-120B-A12B", "nemotron 3 super",
        "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B", "NVIDIA-Nemotron-3-Super", "Nemotron-3-Super-120B-A12B-Base"}) {
    EXPECT_EQ(name(text), "Super") << text;
  }
  EXPECT_EQ(name("nano"), "Nano");
  EXPECT_EQ(name("nano-30b-a3b"), "Nano");
  EXPECT_EQ(name("Nemotron-3.5-Lightning-30B-A3B"), "Lightning");
  EXPECT_EQ(name("ultra"), "Ultra");
  for (const char* text : {"", "-", "nemotron", "nvidia", "super-30b", "nano-9b-v2", "nemotron-3.5-super", "superb",
                           "super/super", "lightning-120b", "super-bf16"}) {
    EXPECT_EQ(name(text), "none") << text;
  }
  std::string format = "x";
  EXPECT_EQ(name("NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4", &format), "Nano");
  EXPECT_EQ(format, "nvfp4");
  EXPECT_EQ(name("nano", &format), "Nano");
  EXPECT_EQ(format, "");
}

TEST(Presets, are_known_by_their_shapes) {
  for (const Preset& preset : presets()) {
    EXPECT_EQ(preset_of(preset.config), &preset) << preset.name;
    EXPECT_EQ(parse_config(parse_json(preset.json, preset.name), preset.name).layers, preset.config.layers);
    Config other = preset.config;
    other.layers.pop_back();
    EXPECT_EQ(preset_of(other), nullptr);
  }
}

}  // namespace
}  // namespace nemotron
