// Checkpoint folders made by tests: temporary folders, tiny models of every layer kind, and files with chosen faults.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "model/config.h"
#include "model/weights.h"

namespace nemotron {

// A folder that lives as long as the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "nemotron-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw Error({.what = "cannot make a temporary folder"});
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A safetensors file with any header, true or not; the data are zeros.
inline void write_raw_safetensors(const std::filesystem::path& path, const std::string& header, uint64_t data_bytes) {
  const uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  write_text(path, text + header);
  std::filesystem::resize_file(path, sizeof length + length + data_bytes);
}

// The message of the Error that `action` throws, or "" if it throws none.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

inline void expect_parts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// A tensor of a tiny model, with its own bytes.
struct TinyTensor {
  std::string name;
  Dtype dtype;
  Shape shape;
  std::string bytes;
};

inline std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// A model small enough to be written in a moment: config.json and tensors that fit it, to be spoilt before `write`.
struct TinyModel {
  Json config;
  std::vector<TinyTensor> tensors;

  explicit TinyModel(const std::string& pattern = "ME*-", bool mtp = false) {
    const std::pair<const char*, Json> fields[] = {{"model_type", "nemotron_h"},
                                                   {"vocab_size", 40},
                                                   {"hidden_size", 32},
                                                   {"hybrid_override_pattern", pattern},
                                                   {"num_hidden_layers", int(pattern.size())},
                                                   {"num_attention_heads", 4},
                                                   {"num_key_value_heads", 2},
                                                   {"head_dim", 16},
                                                   {"mamba_num_heads", 4},
                                                   {"mamba_head_dim", 8},
                                                   {"n_groups", 2},
                                                   {"ssm_state_size", 8},
                                                   {"conv_kernel", 4},
                                                   {"n_routed_experts", 4},
                                                   {"num_experts_per_tok", 2},
                                                   {"moe_intermediate_size", 16},
                                                   {"moe_shared_expert_intermediate_size", 48},
                                                   {"moe_latent_size", 16},
                                                   {"intermediate_size", 64}};
    for (const auto& [name, value] : fields) config.set(name, value);
    if (mtp) config.set("num_nextn_predict_layers", 1);
    list_tensors();
  }

  // Float32 tensors in the order and shapes of the weight table; element i of a tensor is 0.25 + i mod 7.
  void list_tensors() {
    tensors.clear();
    const Config c = parse_config(config, "config.json");
    const auto add = [&](const Entry& entry, auto&) {
      if (!entry.required) return;
      size_t count = 1;
      for (const index n : entry.shape) count *= size_t(n);
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = 0.25f + float(i % 7);
      tensors.push_back({entry.name, Dtype::f32, entry.shape, float_bytes(values)});
    };
    Weights weights;
    visit_weights(c, weights, add);
    if (!c.mtp_layers.empty()) visit_weights(c, weights.mtp.emplace(), add);
  }

  TinyTensor& find(const std::string& name) {
    for (TinyTensor& t : tensors)
      if (t.name == name) return t;
    throw Error({.what = "the test names no tensor", .where = name});
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const TinyTensor& t) { return t.name == name; });
  }
  void add_scalar(const std::string& name, float value, const Shape& shape = {}) {
    tensors.push_back({name, Dtype::f32, shape, float_bytes({value})});
  }

  // Makes a matrix an NVFP4 one: all codes 3 (1.5), all block scales 0x38 (1.0).
  void make_nvfp4(const std::string& module, float scale) {
    TinyTensor& t = find(module + ".weight");
    const Shape shape = t.shape;
    t = {t.name, Dtype::u8, {shape[0], shape[1] / 2}, std::string(size_t(shape[0] * shape[1] / 2), '\x33')};
    tensors.push_back({module + ".weight_scale",
                       Dtype::f8_e4m3,
                       {shape[0], shape[1] / 16},
                       std::string(size_t(shape[0] * shape[1] / 16), '\x38')});
    add_scalar(module + ".weight_scale_2", scale);
  }
  // Makes a matrix an FP8 one: all codes 0x40 (2.0).
  void make_fp8(const std::string& module, float scale, const Shape& scale_shape = {}) {
    TinyTensor& t = find(module + ".weight");
    t = {t.name, Dtype::f8_e4m3, t.shape, std::string(t.bytes.size() / 4, '\x40')};
    add_scalar(module + ".weight_scale", scale, scale_shape);
  }

  void write_config(const std::filesystem::path& folder) const { write_text(folder / "config.json", config.dump()); }
  void write(const std::filesystem::path& folder) const {
    write_config(folder);
    std::vector<TensorData> list;
    for (const TinyTensor& t : tensors) list.push_back({t.name, t.dtype, t.shape, t.bytes.data()});
    write_safetensors(folder / "model.safetensors", list, {{"format", "pt"}});
  }
};

}  // namespace nemotron
