// Made folders: they load in every format, depend on the seed alone, hold the same model in every format and slice, go
// on where they were interrupted, compute sane numbers, and overwrite nothing.

#include "io/random_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "folders.h"
#include "io/checkpoint.h"
#include "io/quantization_record.h"
#include "io/random_tokenizer.h"
#include "model/presets.h"

namespace nemotron {
namespace {

constexpr Recipe kRecipes[] = {Recipe::bf16,  Recipe::fp8,        Recipe::nvfp4,
                               Recipe::mixed, Recipe::nvfp4_even, Recipe::nvfp4_all};

Json small_config(const std::string& pattern = "MEM*E-ME") {
  Json config = TinyModel(pattern, true).config;
  const std::pair<const char*, Json> fields[] = {
      {"vocab_size", 3000},          {"hidden_size", 64},    {"n_routed_experts", 16},      {"num_experts_per_tok", 4},
      {"moe_intermediate_size", 48}, {"mamba_head_dim", 16}, {"routed_scaling_factor", 2.5}};
  for (const auto& [name, value] : fields) config.set(name, value);
  return config;
}

RandomCheckpoint make(const Json& config, const std::filesystem::path& out, const RandomCheckpointOptions& options = {},
                      int count = 2, int steps = 1 << 30) {
  Threads threads(count);
  return make_random_checkpoint(config, "config.json", out, options, threads,
                                [&](const RandomCheckpointProgress&) { return steps-- > 0; });
}

std::map<std::string, std::string> tensors(const std::filesystem::path& folder) {
  std::vector<std::string> warnings;
  const Safetensors read = Safetensors::open_folder(folder, warnings);
  std::map<std::string, std::string> out;
  for (const Tensor& t : read.tensors()) out[t.name].assign(reinterpret_cast<const char*>(read.data(t)), t.bytes);
  return out;
}

std::map<std::string, std::string> files(const std::filesystem::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out[entry.path().filename().string()] = read_file(entry.path(), 1 << 30);
  return out;
}

TEST(RandomCheckpoint, loads_without_anomalies_in_every_format) {
  for (const Recipe recipe : kRecipes) {
    const TemporaryFolder folder;
    const auto out = folder / "made";
    const RandomCheckpoint made = make(small_config(), out, {.recipe = recipe});
    EXPECT_TRUE(made.finished);
    EXPECT_TRUE(made.warnings.empty());
    const Checkpoint c = open_checkpoint(out);
    EXPECT_TRUE(c.warnings.empty()) << recipe_name(recipe) << ": " << c.warnings[0];
    EXPECT_TRUE(c.has_mtp);
    EXPECT_EQ(c.tensors.tensors().size(), made.tensors);
    EXPECT_EQ(c.tensors.total_bytes(), made.bytes);
    EXPECT_EQ(path_exists(out / "hf_quant_config.json"), recipe != Recipe::bf16);
    EXPECT_FALSE(path_exists(out / ".make-random"));
    std::vector<std::string> warnings;
    Threads threads(1);
    EXPECT_NO_THROW(load_model(out, warnings, threads));
  }
}

TEST(RandomCheckpoint, the_record_of_a_release_names_the_modules_of_the_release) {
  const Config& nano = find_preset("nano")->config;
  const QuantizationRecord record = quantization_record(nano, Precision(nano, Recipe::nvfp4));
  EXPECT_TRUE(record.config.is_null());
  const Json& quantization = *record.file.find("quantization");
  EXPECT_EQ(quantization.find("quant_algo")->string(), "NVFP4");
  EXPECT_EQ(quantization.find("group_size")->integer(), 16);
  const Json::Array& excluded = quantization.find("exclude_modules")->array();
  EXPECT_EQ(excluded.size(), 60u);
  EXPECT_EQ(excluded[0].string(), "lm_head");
  EXPECT_EQ(excluded[1].string(), "backbone.layers.4.mixer.in_proj");
  EXPECT_EQ(excluded.back().string(), "backbone.layers.50.mixer.conv1d");

  const Config& big = find_preset("super")->config;
  const QuantizationRecord map = quantization_record(big, Precision(big, Recipe::nvfp4));
  EXPECT_EQ(map.file.find("quantization")->find("quantized_layers")->object().size(), 41100u);
  const Json& groups = *map.config.find("config_groups");
  EXPECT_EQ(groups.find("group_0")->find("targets")->array().size(), 139u);
  EXPECT_EQ(groups.find("group_1")->find("targets")->array().size(), 40961u);
  EXPECT_EQ(map.config.find("quant_method")->string(), "modelopt");
}

TEST(RandomCheckpoint, bytes_depend_on_the_seed_alone) {
  for (const Recipe recipe : {Recipe::bf16, Recipe::nvfp4}) {
    const TemporaryFolder folder;
    make(small_config(), folder / "a", {.recipe = recipe, .seed = 7}, 1);
    make(small_config(), folder / "b", {.recipe = recipe, .seed = 7}, 2);
    make(small_config(), folder / "c", {.recipe = recipe, .seed = 7, .shard_bytes = 100'000}, 2);
    make(small_config(), folder / "d", {.recipe = recipe, .seed = 8}, 2);
    EXPECT_EQ(files(folder / "a"), files(folder / "b"));
    const auto a = tensors(folder / "a"), d = tensors(folder / "d");
    EXPECT_EQ(a, tensors(folder / "c"));
    EXPECT_NE(a.at("lm_head.weight"), d.at("lm_head.weight"));
    EXPECT_NE(a.at("backbone.layers.0.mixer.A_log"), d.at("backbone.layers.0.mixer.A_log"));
  }
}

// FNV-1a over everything: the same on every machine, and changed only together with kContent.
TEST(RandomCheckpoint, bytes_are_these) {
  std::string hashes;
  for (const Recipe recipe : kRecipes) {
    const TemporaryFolder folder;
    make(small_config(), folder / "a", {.recipe = recipe, .seed = 1});
    uint64_t h = 0xCBF29CE484222325;
    for (const auto& [name, bytes] : tensors(folder / "a"))
      for (const char c : name + bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    hashes += std::to_string(h) + " ";
  }
  EXPECT_EQ(hashes,
            "3324146026734388422 11296915315276215295 16855000193191688274 13511109570395591107 276226154680408948 "
            "8134835872499292131 ");
}

TEST(RandomCheckpoint, a_slice_holds_the_layers_of_the_whole_model) {
  for (const Recipe recipe : kRecipes) {
    const TemporaryFolder folder;
    make(small_config(), folder / "whole", {.recipe = recipe});
    make(small_config(), folder / "slice", {.recipe = recipe, .layers = {{2, 4}}});
    const Checkpoint c = open_checkpoint(folder / "slice");
    EXPECT_TRUE(c.warnings.empty());
    EXPECT_EQ(c.config.pattern(), "M*E");
    EXPECT_TRUE(c.config.mtp_layers.empty());
    const auto whole = tensors(folder / "whole");
    size_t compared = 0;
    for (const auto& [name, bytes] : tensors(folder / "slice")) {
      std::string original = name;
      if (name.starts_with("backbone.layers.")) original[16] = char(name[16] + 2);
      EXPECT_TRUE(whole.at(original) == bytes) << name << " " << recipe_name(recipe);
      ++compared;
    }
    EXPECT_GT(compared, 50u);
  }
}

// Decoded weights of a matrix, scales included.
std::vector<double> values(const Matrix& m) {
  std::vector<double> out(size_t(m.rows * m.cols));
  for (index r = 0; r < m.rows; ++r) decode_row(m, r, 0, m.cols, out.data() + r * m.cols);
  for (double& v : out) v *= double(m.scale);
  return out;
}

TEST(RandomCheckpoint, is_the_same_model_in_every_format) {
  const TemporaryFolder folder;
  Threads threads(1);
  std::vector<std::string> warnings;
  std::map<Recipe, Model> models;
  for (const Recipe recipe : kRecipes) {
    make(small_config(), folder / recipe_name(recipe), {.recipe = recipe});
    models.emplace(recipe, load_model(folder / recipe_name(recipe), warnings, threads));
  }
  std::map<std::string, std::vector<double>> exact;
  const auto keep = [&](const Entry& entry, auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>) exact[entry.name] = values(member);
  };
  visit_weights(models[Recipe::bf16].config, models[Recipe::bf16].weights, keep);
  std::set<Format> seen;
  for (const Recipe recipe : kRecipes) {
    const auto compare = [&](const Entry& entry, auto& member) {
      if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>) {
        seen.insert(member.format);
        const std::vector<double> a = exact.at(entry.name), b = values(member);
        double error = 0, size = 0;
        for (size_t i = 0; i < a.size(); ++i) error += (a[i] - b[i]) * (a[i] - b[i]), size += a[i] * a[i];
        // Relative error of rounding: 2^-9, 2^-4 and 1/8 of a step, as root mean squares.
        const double most = member.format == Format::nvfp4 ? 0.12 : member.format == Format::fp8 ? 0.035 : 0.004;
        EXPECT_LT(std::sqrt(error / size), most) << entry.name << " " << format_name(member.format);
      }
    };
    visit_weights(models[recipe].config, models[recipe].weights, compare);
  }
  EXPECT_EQ(seen, (std::set<Format>{Format::f32, Format::bf16, Format::fp8, Format::nvfp4}));
}

TEST(RandomCheckpoint, weights_have_the_promised_spread) {
  const TemporaryFolder folder;
  Json config = small_config();
  config.set("hidden_size", 512);
  make(config, folder / "a");
  Threads threads(1);
  std::vector<std::string> warnings;
  Model m = load_model(folder / "a", warnings, threads);
  const auto check = [&](const Entry& entry, auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>) {
      if (member.rows * member.cols < 30'000 || !entry.name.ends_with("in_proj.weight")) return;
      const std::vector<double> v = values(member);
      const double mean = std::accumulate(v.begin(), v.end(), 0.0) / double(v.size());
      double squares = 0, fourths = 0, largest = 0;
      for (const double x : v) squares += x * x, fourths += x * x * x * x, largest = std::max(largest, std::fabs(x));
      const double deviation = std::sqrt(squares / double(v.size()));
      EXPECT_NEAR(deviation * std::sqrt(double(member.cols)), 1, 0.25) << entry.name;
      EXPECT_LT(std::fabs(mean), 0.02 * deviation) << entry.name;
      const double kurtosis = fourths * double(v.size()) / (squares * squares);
      EXPECT_GT(kurtosis, 4) << entry.name << ": tails as light as a normal's, 3";
      EXPECT_GT(largest, 6 * deviation);
      EXPECT_LT(largest, 60 * deviation);
    }
  };
  visit_weights(m.config, m.weights, check);
  for (const float a : std::get<MambaWeights>(m.weights.layers[0].mixer).A_log) {
    EXPECT_GE(a, 0);
    EXPECT_LE(a, 2.78f);
  }
  for (const float b : std::get<MambaWeights>(m.weights.layers[0].mixer).dt_bias) {
    const double step = std::log1p(std::exp(double(b)));
    EXPECT_GE(step, 0.00098);
    EXPECT_LE(step, 0.102);
  }
}

// 24 layers deep, and in NVFP4: nothing grows or dies out, no expert takes all, the softmax is neither flat nor a
// spike.
TEST(RandomCheckpoint, computes_sane_numbers) {
  Json config = small_config("MEMEMEM*EMEMEMEM*EMEMEME");
  config.set("hidden_size", 128);
  for (const Recipe recipe : {Recipe::bf16, Recipe::nvfp4}) {
    const TemporaryFolder folder;
    make(config, folder / "a", {.recipe = recipe});
    Threads threads(1);
    Arena arena;
    std::vector<std::string> warnings;
    const Model m = load_model(folder / "a", warnings, threads);
    Context ctx{cpu_backend(), threads, arena, 0};
    constexpr index kTokens = 64;
    std::vector<int32_t> ids;
    for (index t = 0; t < kTokens; ++t) ids.push_back(int32_t(1256 + t * 977 % 1744));
    const Segment all{0, kTokens, 0};
    Saved saved;
    const Rows hidden = forward(ctx, m, ids, {&all, 1}, nullptr, &saved);
    double squares = 0;
    for (index t = 0; t < kTokens; ++t)
      for (index k = 0; k < 128; ++k) squares += std::pow(saved.x.row<float>(t)[k], 2);
    const double stream = std::sqrt(squares / (kTokens * 128));
    EXPECT_GT(stream, 0.8);
    EXPECT_LT(stream, 5);
    for (const LayerSaved& layer : saved.layers) {
      const auto* moe = std::get_if<MoeSaved>(&layer.mixer);
      if (!moe) continue;
      std::vector<int> load(16);
      for (const int32_t e : moe->routes.expert) ++load[size_t(e)];
      EXPECT_LT(*std::max_element(load.begin(), load.end()), 5 * kTokens * 4 / 16);
      EXPECT_LE(std::count(load.begin(), load.end(), 0), 4);
    }
    const Rows scores = logits(ctx, m, hidden);
    double entropy = 0;
    for (index t = 0; t < kTokens; ++t) {
      const float* row = scores.row<float>(t);
      const float top = *std::max_element(row, row + scores.cols);
      ASSERT_TRUE(std::isfinite(top));
      double sum = 0, weighted = 0;
      for (index v = 0; v < scores.cols; ++v) {
        const double w = std::exp(double(row[v] - top));
        sum += w, weighted += w * (row[v] - top);
      }
      entropy += (std::log(sum) - weighted / sum) / kTokens;
    }
    EXPECT_GT(entropy, 0.8);
    EXPECT_LT(entropy, 5.5);  // ln 3000 is 8
  }
}

TEST(RandomCheckpoint, an_interrupted_run_goes_on_and_ends_in_the_same_folder) {
  const TemporaryFolder folder;
  const RandomCheckpointOptions options{.recipe = Recipe::fp8, .shard_bytes = 200'000};
  make(small_config(), folder / "whole", options);
  const RandomCheckpoint first = make(small_config(), folder / "part", options, 2, 2);
  EXPECT_FALSE(first.finished);
  EXPECT_TRUE(path_exists(folder / "part/model-00002-of-00004.safetensors"));
  EXPECT_FALSE(path_exists(folder / "part/model-00003-of-00004.safetensors"));
  EXPECT_FALSE(path_exists(folder / "part/config.json"));
  write_text(folder / "part/model-00003-of-00004.safetensors.1.0.part", "what a killed run leaves");

  expect_parts(error_of([&] { make(small_config(), folder / "part", {.recipe = Recipe::fp8, .seed = 1}); }),
               {"part", "unfinished", "other options"});
  expect_parts(error_of([&] { make(small_config("ME"), folder / "part", options); }), {"unfinished"});

  const auto before = std::filesystem::last_write_time(folder / "part/model-00001-of-00004.safetensors");
  const RandomCheckpoint second = make(small_config(), folder / "part", options);
  EXPECT_TRUE(second.finished);
  EXPECT_EQ(second.kept, 2u);
  EXPECT_EQ(std::filesystem::last_write_time(folder / "part/model-00001-of-00004.safetensors"), before);
  EXPECT_EQ(files(folder / "part"), files(folder / "whole"));
}

TEST(RandomCheckpoint, overwrites_nothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  EXPECT_TRUE(make(small_config(), folder / "empty").finished);
  const auto before = files(folder / "empty");
  expect_parts(error_of([&] { make(small_config(), folder / "empty"); }),
               {"empty", "exists already", "nothing is overwritten"});
  EXPECT_EQ(files(folder / "empty"), before);
  write_text(folder / "file", "mine");
  expect_parts(error_of([&] { make(small_config(), folder / "file"); }), {"exists already", "a file"});
}

TEST(RandomCheckpoint, refuses_what_it_cannot_make_before_it_begins) {
  const TemporaryFolder folder;
  const auto refused = [&](const Json& config, const RandomCheckpointOptions& options,
                           const std::vector<std::string>& parts) {
    expect_parts(error_of([&] { make(config, folder / "out", options); }), parts);
    EXPECT_FALSE(path_exists(folder / "out"));
  };
  refused(small_config(), {.layers = {{3, 8}}}, {"config.json", "no such layers", "<= 7", "3-8"});
  refused(small_config(), {.layers = {{4, 3}}}, {"no such layers"});
  refused(small_config(), {.layers = {{-1, 3}}}, {"no such layers"});
  Json config = small_config();
  config.set("moe_intermediate_size", 40);
  refused(config, {.recipe = Recipe::nvfp4}, {"experts.0.down_proj.weight", "multiple of 16", "[16, 40]"});
  EXPECT_TRUE(make(config, folder / "fp8", {.recipe = Recipe::fp8}).finished);
  config.set("time_step_min", -1);
  refused(config, {}, {"time_step_min", "-1"});
  refused(Json(3), {}, {"config.json"});
  config = small_config();
  config.set("vocab_size", 1 << 24).set("hidden_size", 1 << 20);  // 70 TB of embeddings
  refused(config, {}, {"not enough room", "MB", "--headers-only"});
}

TEST(RandomCheckpoint, slices_the_schedule_however_it_is_written) {
  Json config = small_config();
  config.set("layers_block_type", Json::Array{"mamba", "moe", "mamba", "attention", "moe", "mlp", "mamba", "moe"});
  config.set("layer_types", nullptr);
  Json slice = slice_config(config, "c", 3, 5);
  EXPECT_EQ(parse_config(slice, "c").pattern(), "*E-");
  EXPECT_EQ(slice.find("hybrid_override_pattern")->string(), "*E-");
  EXPECT_EQ(slice.find("num_hidden_layers")->integer(), 3);
  EXPECT_EQ(slice.find("layer_types"), nullptr);
  EXPECT_EQ(slice.find("num_nextn_predict_layers"), nullptr);
  config.set("hybrid_override_pattern", "MM");  // the list comes before it
  slice = slice_config(config, "c", 0, 0);
  EXPECT_EQ(slice.find("hybrid_override_pattern"), nullptr);
  EXPECT_EQ(parse_config(slice, "c").pattern(), "M");
}

TEST(RandomCheckpoint, leaves_the_tokenizer_out_of_a_tiny_vocabulary) {
  const TemporaryFolder folder;
  Json config = small_config();
  config.set("vocab_size", 273);
  const RandomCheckpoint made = make(config, folder / "out");
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_NE(made.warnings[0].find("274"), std::string::npos);
  EXPECT_FALSE(path_exists(folder / "out/tokenizer.json"));
  EXPECT_TRUE(path_exists(folder / "out/generation_config.json"));
}

TEST(RandomTokenizer, brings_the_template_of_pico) {
  EXPECT_EQ(chat_template_text(), read_file(NEMOTRON_SOURCE_DIR "/models/pico/chat_template.jinja", 1 << 20));
}

}  // namespace
}  // namespace nemotron
