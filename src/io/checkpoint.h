// A checkpoint folder: which of its tensors is which member of the model, decided from headers alone, and the loaded
// model.

#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "io/safetensors.h"
#include "model/model.h"

namespace nemotron {

// Where one tensor of the weight table lies, in the format that its own tensors say (spec/model.md 8.2).
struct Binding {
  Entry entry;
  Format format = Format::f32;
  const Tensor* weight = nullptr;        // null: one that may be absent and is
  const Tensor* block_scales = nullptr;  // nvfp4: "weight_scale"
  const Tensor* scale = nullptr;         // fp8: "weight_scale"; nvfp4: "weight_scale_2"
  const Tensor* input_scale = nullptr;   // of quantized activations; accepted, not used
  uint64_t offset = 0, bytes = 0;        // of this tensor within `weight`, where experts are stacked

  std::string_view module() const;  // "backbone.layers.3.mixer.in_proj"
};

struct Checkpoint {
  std::filesystem::path folder;
  Config config;
  Safetensors tensors;
  std::vector<Binding> bindings;      // in the order of the weight table, then of the MTP block's
  const Tensor* tied_head = nullptr;  // a copy of tied embeddings that the folder holds all the same
  bool has_mtp = false;               // the block is promised, and there
  std::vector<std::string> warnings;  // one line each
};

// Reads config.json and the headers, and matches them; no weight is touched. Throws Error for a folder that cannot be
// loaded: names the field, file or tensor; missing and leftover tensors are one error that lists both.
Checkpoint open_checkpoint(const std::filesystem::path& folder);

// The model of a folder, its weights mapped. Small vectors are widened; block scales are read once, to refuse NaN and
// negative ones. `warnings` receives what is odd but harmless.
Model load_model(const std::filesystem::path& folder, std::vector<std::string>& warnings, Threads& threads);

// A tensor's or module's name as the releases write it, from any of the spellings of spec/model.md 2.3.
std::string release_name(std::string_view name);

}  // namespace nemotron
