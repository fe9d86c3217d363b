// Checkpoint folders: every spelling and format loads to the same model, and what does not fit is named.

#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "folders.h"

namespace nemotron {
namespace {

struct Loaded {
  std::vector<std::string> warnings;
  Model model;
};

Loaded load(const std::filesystem::path& folder) {
  Loaded out;
  Threads threads(2);
  out.model = load_model(folder, out.warnings, threads);
  return out;
}

std::string load_error(const TinyModel& tiny) {
  const TemporaryFolder folder;
  tiny.write(folder.path());
  return error_of([&] { load(folder.path()); });
}

std::vector<float> values(const Matrix& m) {
  std::vector<float> out(size_t(m.rows * m.cols));
  for (index r = 0; r < m.rows; ++r) decode_row(m, r, 0, m.cols, out.data() + r * m.cols);
  for (float& x : out) x *= m.scale;
  return out;
}

// Every weight of a model in one list, so that two models are equal when their lists are.
std::vector<float> all_values(Model& model) {
  std::vector<float> out;
  const auto add = [&](const Entry&, auto& member) {
    if constexpr (std::is_same_v<decltype(member), Matrix&>) {
      const std::vector<float> v = values(member);
      out.insert(out.end(), v.begin(), v.end());
    } else {
      out.insert(out.end(), member.begin(), member.end());
    }
  };
  for (LayerWeights& layer :
       model.weights.layers) {  // mixer by mixer: visiting a whole layer would make its mixer anew
    out.insert(out.end(), layer.norm.begin(), layer.norm.end());
    std::visit([&](auto& mixer) { visit_weights(model.config, "", mixer, add); }, layer.mixer);
  }
  const std::vector<float> e = values(model.weights.embeddings), h = values(model.weights.lm_head);
  out.insert(out.end(), e.begin(), e.end());
  out.insert(out.end(), h.begin(), h.end());
  out.insert(out.end(), model.weights.norm_f.begin(), model.weights.norm_f.end());
  return out;
}

std::vector<float> loaded_values(const TinyModel& tiny) {
  const TemporaryFolder folder;
  tiny.write(folder.path());
  Loaded l = load(folder.path());
  return all_values(l.model);
}

// ---- what loads ----

TEST(Checkpoint, every_member_is_filled_with_its_shape) {
  const TemporaryFolder folder;
  TinyModel("ME*-", true).write(folder.path());
  const Loaded l = load(folder.path());
  EXPECT_TRUE(l.warnings.empty());
  const Weights& w = l.model.weights;
  ASSERT_EQ(w.layers.size(), 4u);
  const auto& mamba = std::get<MambaWeights>(w.layers[0].mixer);
  EXPECT_EQ(mamba.in_proj.rows, l.model.config.in_proj_rows());
  EXPECT_EQ(mamba.conv_weight.size(), 64u * 4);
  EXPECT_EQ(mamba.out_proj.k_segments, k_segments(32, 2));
  const auto& moe = std::get<MoeWeights>(w.layers[1].mixer);
  EXPECT_EQ(moe.experts.size(), 4u);
  EXPECT_EQ(moe.shared_down_proj.k_segments, k_segments(48, 3));
  EXPECT_EQ(moe.experts[3].up_proj.cols, 16);
  const auto& attention = std::get<AttentionWeights>(w.layers[2].mixer);
  EXPECT_EQ(attention.o_proj.k_segments, 4);
  EXPECT_EQ(attention.q_proj.k_segments, 1);
  EXPECT_TRUE(attention.k_scale.empty());
  EXPECT_EQ(values(attention.q_proj)[9], 0.25f + 2);
  EXPECT_EQ(std::get<MlpWeights>(w.layers[3].mixer).up_proj.rows, 64);
  ASSERT_TRUE(w.mtp);
  EXPECT_EQ(w.mtp->eh_proj.cols, 64);
  EXPECT_EQ(w.mtp->layers.size(), 2u);
  EXPECT_EQ(w.mtp->final_layernorm[8], 1.25f);
}

TEST(Checkpoint, every_spelling_of_the_names_gives_the_same_model) {
  const std::vector<float> expected = loaded_values(TinyModel());
  TinyModel native;
  for (TinyTensor& t : native.tensors)
    if (t.name.starts_with("backbone.")) t.name = "model." + t.name.substr(9);
  EXPECT_EQ(loaded_values(native), expected);

  for (const bool down : {false, true}) {  // stacked experts, one kind at a time
    const std::string member = down ? "down_proj" : "up_proj";
    TinyTensor stacked{"model.layers.1.mixer.experts." + member, Dtype::f32, {4, 16, 16}, ""};
    for (int e = 0; e < 4; ++e) {
      const std::string name = "model.layers.1.mixer.experts." + std::to_string(e) + "." + member + ".weight";
      stacked.bytes += native.find(name).bytes;
      native.remove(name);
    }
    native.tensors.push_back(stacked);
    EXPECT_EQ(loaded_values(native), expected);
  }

  TinyModel wrapped;
  for (TinyTensor& t : wrapped.tensors) t.name = "language_model." + t.name;
  EXPECT_EQ(loaded_values(wrapped), expected);

  TinyModel old;
  old.find("backbone.embeddings.weight").name = "backbone.embedding.weight";
  EXPECT_EQ(loaded_values(old), expected);
}

TEST(Checkpoint, slices_of_stacked_experts_are_their_own) {
  TinyModel tiny("E");
  TinyTensor stacked{"backbone.layers.0.mixer.experts.up_proj", Dtype::f32, {4, 16, 16}, ""};
  for (int e = 0; e < 4; ++e) {
    stacked.bytes += float_bytes(std::vector<float>(256, float(e)));
    tiny.remove("backbone.layers.0.mixer.experts." + std::to_string(e) + ".up_proj.weight");
  }
  tiny.tensors.push_back(stacked);
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  for (size_t e = 0; e < 4; ++e)
    EXPECT_EQ(values(std::get<MoeWeights>(l.model.weights.layers[0].mixer).experts[e].up_proj),
              std::vector<float>(256, float(e)));
}

TEST(Checkpoint, each_module_has_the_format_of_its_own_tensors) {
  TinyModel tiny;
  tiny.make_nvfp4("backbone.layers.0.mixer.in_proj", 2);
  tiny.add_scalar("backbone.layers.0.mixer.in_proj.input_scale", 0.5f);
  tiny.make_fp8("backbone.layers.0.mixer.out_proj", 0.5f, {1});
  tiny.add_scalar("backbone.layers.0.mixer.out_proj.input_scale", 0.5f, {1});
  tiny.make_nvfp4("backbone.layers.1.mixer.experts.2.up_proj", 1);  // without input_scale
  tiny.add_scalar("backbone.layers.2.mixer.k_proj.k_scale", 0.75f, {1});
  tiny.add_scalar("backbone.layers.2.mixer.v_proj.v_scale", 1.5f);
  TinyTensor& q = tiny.find("backbone.layers.2.mixer.q_proj.weight");
  q = {q.name, Dtype::bf16, q.shape, std::string(q.bytes.size() / 2, '\x40')};
  TinyTensor& v = tiny.find("backbone.layers.2.mixer.v_proj.weight");
  v = {v.name, Dtype::f16, v.shape, std::string(v.bytes.size() / 2, '\x3c')};
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  const auto& mamba = std::get<MambaWeights>(l.model.weights.layers[0].mixer);
  EXPECT_EQ(mamba.in_proj.format, Format::nvfp4);
  EXPECT_EQ(values(mamba.in_proj)[100], 3);
  EXPECT_EQ(mamba.out_proj.format, Format::fp8);
  EXPECT_EQ(values(mamba.out_proj)[7], 1);
  const auto& moe = std::get<MoeWeights>(l.model.weights.layers[1].mixer);
  EXPECT_EQ(moe.experts[2].up_proj.format, Format::nvfp4);
  EXPECT_EQ(moe.experts[1].up_proj.format, Format::f32);
  const auto& attention = std::get<AttentionWeights>(l.model.weights.layers[2].mixer);
  EXPECT_EQ(attention.k_scale, Vector{0.75f});
  EXPECT_EQ(attention.v_scale, Vector{1.5f});
  EXPECT_EQ(attention.q_proj.format, Format::bf16);
  EXPECT_EQ(attention.v_proj.format, Format::f16);
}

TEST(Checkpoint, an_exported_matrix_of_zeros_loads_as_zeros) {
  TinyModel tiny;
  const std::string nvfp4 = "backbone.layers.0.mixer.in_proj", fp8 = "backbone.layers.0.mixer.out_proj";
  tiny.make_nvfp4(nvfp4, 0);
  for (char& c : tiny.find(nvfp4 + ".weight").bytes) c = '\x77';
  for (char& c : tiny.find(nvfp4 + ".weight_scale").bytes) c = '\xff';
  tiny.make_fp8(fp8, 0);
  for (char& c : tiny.find(fp8 + ".weight").bytes) c = '\xff';
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  const auto& mamba = std::get<MambaWeights>(l.model.weights.layers[0].mixer);
  for (const Matrix* m : {&mamba.in_proj, &mamba.out_proj})
    for (const float x : values(*m)) ASSERT_EQ(x, 0);
}

TEST(Checkpoint, tied_embeddings_are_the_head) {
  TinyModel tiny("M");
  const std::string copy = tiny.find("backbone.embeddings.weight").bytes;
  tiny.config.set("tie_word_embeddings", true);
  tiny.list_tensors();
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  EXPECT_EQ(l.model.weights.lm_head.data, l.model.weights.embeddings.data);

  tiny.tensors.push_back({"lm_head.weight", Dtype::f32, {40, 32}, copy});  // some folders hold the copy all the same
  EXPECT_EQ(load_error(tiny), "");
  tiny.find("lm_head.weight").bytes[5] ^= 1;
  expect_parts(load_error(tiny), {"lm_head.weight", "tie_word_embeddings"});
  tiny.find("lm_head.weight").shape = {32, 40};
  expect_parts(load_error(tiny), {"lm_head.weight", "tie_word_embeddings", "[40, 32]", "[32, 40]"});
}

TEST(Checkpoint, a_promised_but_absent_mtp_block_is_a_warning) {
  TinyModel tiny("M", true);
  std::erase_if(tiny.tensors, [](const TinyTensor& t) { return t.name.starts_with("mtp."); });
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  EXPECT_FALSE(l.model.weights.mtp);
  ASSERT_EQ(l.warnings.size(), 1u);
  expect_parts(l.warnings[0], {"MTP"});
}

TEST(Checkpoint, a_wrapper_keeps_its_other_parts_to_itself) {
  TinyModel tiny("M");
  for (TinyTensor& t : tiny.tensors) t.name = "language_model." + t.name;
  tiny.add_scalar("vision_model.scale", 1);
  expect_parts(load_error(tiny), {"1 leftover (vision_model.scale)"});
  Json wrapper;
  wrapper.set("model_type", "some_vl").set("llm_config", tiny.config);
  tiny.config = wrapper;
  const TemporaryFolder folder;
  tiny.write(folder.path());
  const Loaded l = load(folder.path());
  ASSERT_EQ(l.warnings.size(), 1u);
  expect_parts(l.warnings[0], {"1 tensors", "multimodal"});
  tiny.add_scalar("language_model.more", 1);
  expect_parts(load_error(tiny), {"1 leftover (language_model.more)"});
}

// ---- what is refused ----

TEST(Checkpoint, missing_and_leftover_tensors_are_one_error) {
  TinyModel tiny;
  for (const char* name :
       {"backbone.norm_f.weight", "backbone.layers.0.mixer.D", "backbone.layers.3.norm.weight", "lm_head.weight"})
    tiny.remove(name);
  tiny.add_scalar("backbone.layers.0.mixer.E", 1);
  tiny.add_scalar("odd", 1);
  expect_parts(load_error(tiny),
               {"4 missing (backbone.layers.0.mixer.D, backbone.layers.3.norm.weight, backbone.norm_f.weight, ...)",
                "2 leftover (backbone.layers.0.mixer.E, odd)"});
}

TEST(Checkpoint, a_part_of_an_mtp_block_is_missing_and_an_unpromised_one_is_leftover) {
  TinyModel part("M", true);
  part.remove("mtp.layers.0.eh_proj.weight");
  expect_parts(load_error(part), {"1 missing (mtp.layers.0.eh_proj.weight)"});
  TinyModel unpromised("M", true);
  unpromised.config.set("num_nextn_predict_layers", 0);
  expect_parts(load_error(unpromised), {"leftover (mtp.layers.0.enorm.weight", "num_nextn_predict_layers"});
}

TEST(Checkpoint, a_wrong_shape_is_named_with_both) {
  TinyModel tiny;
  tiny.find("backbone.layers.0.mixer.in_proj.weight").shape = {32, 100};
  expect_parts(load_error(tiny),
               {"model.safetensors: tensor 'backbone.layers.0.mixer.in_proj.weight'", "[100, 32]", "[32, 100]"});
  TinyModel conv;
  conv.find("backbone.layers.0.mixer.conv1d.weight").shape = {64, 4};
  expect_parts(load_error(conv), {"conv1d.weight", "expected [64, 1, 4], found [64, 4]"});
  TinyModel stacked("E");
  for (int e = 0; e < 4; ++e)
    stacked.remove("backbone.layers.0.mixer.experts." + std::to_string(e) + ".up_proj.weight");
  stacked.tensors.push_back(
      {"backbone.layers.0.mixer.experts.up_proj", Dtype::f32, {3, 16, 16}, std::string(3 * 16 * 16 * 4, '\0')});
  expect_parts(load_error(stacked), {"experts.up_proj", "expected [4, 16, 16], found [3, 16, 16]"});
}

TEST(Checkpoint, quantized_tensors_that_do_not_fit_are_named) {
  const std::string in = "backbone.layers.0.mixer.in_proj", up = "backbone.layers.1.mixer.experts.0.up_proj";
  TinyModel scales;
  scales.make_nvfp4(in, 1);
  scales.find(in + ".weight_scale").shape = {50, 4};
  expect_parts(load_error(scales), {in + ".weight_scale'", "[100, 2]", "[50, 4]"});
  TinyModel codes;
  codes.make_nvfp4(in, 1);
  codes.find(in + ".weight").shape = {50, 32};
  expect_parts(load_error(codes), {in + ".weight'", "[100, 16]", "[50, 32]"});
  TinyModel kind;
  kind.make_nvfp4(in, 1);
  kind.find(in + ".weight_scale").dtype = Dtype::u8;
  expect_parts(load_error(kind), {in + ".weight_scale'", "F8_E4M3", "U8"});
  TinyModel missing;
  missing.make_nvfp4(in, 1);
  missing.remove(in + ".weight_scale_2");
  missing.make_fp8(up, 1);
  missing.remove(up + ".weight_scale");
  expect_parts(load_error(missing), {"2 missing (" + in + ".weight_scale_2, " + up + ".weight_scale)"});
  TinyModel channel;
  channel.make_fp8(in, 1);
  channel.find(in + ".weight_scale") = {in + ".weight_scale", Dtype::f32, {100, 1}, std::string(400, '\0')};
  expect_parts(load_error(channel), {in + ".weight_scale'", "[] or [1]", "[100, 1]"});
  TinyModel narrow("-");
  narrow.config.set("intermediate_size", 24);
  narrow.list_tensors();
  TinyTensor& down = narrow.find("backbone.layers.0.mixer.down_proj.weight");
  down = {down.name, Dtype::u8, {32, 12}, std::string(32 * 12, '\0')};
  expect_parts(load_error(narrow), {"down_proj.weight", "16 columns", "[32, 24]"});
  TinyModel odd;
  odd.find(in + ".weight") = {in + ".weight", Dtype::f64, {100, 32}, std::string(100 * 32 * 8, '\0')};
  expect_parts(load_error(odd), {in + ".weight'", "dtype", "BF16, F16 or F32", "F64"});
  TinyModel vector;
  TinyTensor& norm = vector.find("backbone.norm_f.weight");
  norm = {norm.name, Dtype::f8_e4m3, {32}, std::string(32, '\0')};
  expect_parts(load_error(vector), {"norm_f.weight", "F8_E4M3"});
}

TEST(Checkpoint, nan_and_negative_scales_are_named) {
  const std::string in = "backbone.layers.0.mixer.in_proj";
  for (const float bad : {std::nanf(""), -1.f, std::numeric_limits<float>::infinity()}) {
    TinyModel nvfp4, fp8, input, k;
    nvfp4.make_nvfp4(in, bad);
    expect_parts(load_error(nvfp4), {in + ".weight_scale_2'", "bad scale", "not negative"});
    fp8.make_fp8(in, bad);
    expect_parts(load_error(fp8), {in + ".weight_scale'", "bad scale"});
    input.make_fp8(in, 1);
    input.add_scalar(in + ".input_scale", bad);
    expect_parts(load_error(input), {in + ".input_scale'", "bad scale"});
    k.add_scalar("backbone.layers.2.mixer.k_proj.k_scale", bad);
    expect_parts(load_error(k), {"k_proj.k_scale'", "bad scale"});
  }
  TinyModel zero;
  zero.add_scalar("backbone.layers.2.mixer.v_proj.v_scale", 0);
  expect_parts(load_error(zero), {"v_proj.v_scale'", "positive"});
  for (const auto& [code, shown] :
       {std::pair<char, const char*>{'\x7f', "0x7F"}, {'\xff', "0xFF"}, {'\x80', "0x80"}, {'\xb8', "0xB8"}}) {
    TinyModel block;
    block.make_nvfp4(in, 1);
    block.find(in + ".weight_scale").bytes[2 * 77 + 1] = code;
    expect_parts(load_error(block), {in + ".weight_scale'", "bad block scale", shown, "[77, 1]"});
  }
}

TEST(Checkpoint, one_member_under_two_spellings_is_named) {
  TinyModel tiny;
  TinyTensor twin = tiny.find("backbone.norm_f.weight");
  twin.name = "model.norm_f.weight";
  tiny.tensors.push_back(twin);
  expect_parts(load_error(tiny), {"two tensors", "'model.norm_f.weight'", "'backbone.norm_f.weight'"});
}

TEST(Checkpoint, a_folder_that_is_none_is_named) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] { load(folder / "absent"); }), {"absent", "no such folder", "nothing"});
  expect_parts(error_of([&] { load(folder.path()); }),
               {folder.path().string(), "no config.json", "fetch the whole folder"});
  TinyModel().write_config(folder.path());
  expect_parts(error_of([&] { load(folder.path()); }), {"no weights"});
  expect_parts(error_of([&] { load(folder / "config.json"); }), {"no such folder", "a file"});
  write_text(folder / "config.json", std::string(100000, '[') + std::string(100000, ']'));
  expect_parts(error_of([&] { load(folder.path()); }), {"config.json", "nested deeper"});
}

// ---- the quantizer's records ----

std::vector<std::string> warnings_with(const TinyModel& tiny, const std::string& record) {
  const TemporaryFolder folder;
  tiny.write(folder.path());
  if (!record.empty()) write_text(folder / "hf_quant_config.json", record);
  return load(folder.path()).warnings;
}

TinyModel quantized_mlp() {
  TinyModel tiny("-");
  tiny.make_nvfp4("backbone.layers.0.mixer.up_proj", 1);
  tiny.make_fp8("backbone.layers.0.mixer.down_proj", 1);
  return tiny;
}

TEST(Quantization, a_record_that_agrees_says_nothing) {
  EXPECT_TRUE(warnings_with(quantized_mlp(), R"({"quantization":{"quant_algo":"MIXED_PRECISION","quantized_layers":{
      "backbone.layers.0.mixer.up_proj":{"quant_algo":"NVFP4"},"model.layers.0.mixer.down_proj":{"quant_algo":"FP8"}}}})")
                  .empty());
  TinyModel uniform("-");
  for (const char* m : {"up_proj", "down_proj"}) uniform.make_nvfp4(std::string("backbone.layers.0.mixer.") + m, 1);
  EXPECT_TRUE(
      warnings_with(uniform, R"({"quantization":{"quant_algo":"NVFP4","exclude_modules":["lm_head"]}})").empty());
  EXPECT_TRUE(
      warnings_with(TinyModel(), R"({"quantization":{"quant_algo":"FP8","exclude_modules":["*.mixer*","lm_*d"]}})")
          .empty());
  TinyModel experts("E");
  for (int e = 0; e < 4; ++e)
    for (const char* m : {"up_proj", "down_proj"})
      experts.make_nvfp4("backbone.layers.0.mixer.experts." + std::to_string(e) + "." + m, 1);
  EXPECT_TRUE(
      warnings_with(
          experts,
          R"({"quantization":{"quantized_layers":{"backbone.layers.0.mixer.experts":{"quant_algo":"W4A16_NVFP4"}}}})")
          .empty());
}

TEST(Quantization, a_record_that_differs_is_a_warning_and_the_tensors_decide) {
  const auto w =
      warnings_with(quantized_mlp(), R"({"quantization":{"quant_algo":"FP8","exclude_modules":["lm_head"]}})");
  ASSERT_EQ(w.size(), 1u);
  expect_parts(w[0], {"hf_quant_config.json", "1 modules differ",
                      "backbone.layers.0.mixer.up_proj says FP8, its tensors NVFP4"});
  TinyModel in_config = quantized_mlp();
  in_config.config.set("quantization_config", parse_json(R"({"quant_algo":"NVFP4","ignore":["lm_head"]})", ""));
  const auto c = warnings_with(in_config, "");
  ASSERT_EQ(c.size(), 1u);
  expect_parts(c[0], {"quantization_config", "1 modules differ", "down_proj says NVFP4, its tensors FP8"});
}

TEST(Quantization, damaged_records_are_warnings) {
  for (const char* record :
       {R"({"quantization":{"quantized_layers":{"lm_head.\u0000sentinel":{"quant_algo":"FP8"}}}})",
        R"({"quantization":{"quant_algo":"FP8","exclude_modules":["mtp.\u0000sentinel*"]}})", "no json", "[[["}) {
    const auto w = warnings_with(quantized_mlp(), record);
    ASSERT_EQ(w.size(), 1u) << record;
    expect_parts(w[0], {"hf_quant_config.json"});
  }
  for (const char* record : {"{}", "[]", "7", R"({"quantization":[]})",
                             R"({"quantization":{"quantized_layers":[1],"exclude_modules":{"a":1}}})"})
    for (const std::string& w : warnings_with(TinyModel("-"), record)) ADD_FAILURE() << record << ": " << w;
}

}  // namespace
}  // namespace nemotron
