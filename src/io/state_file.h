// A state on disk: a safetensors file of every sequence's caches, tied to the model it belongs to.

#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "model/model.h"

namespace nemotron {

// A tensor that owns its bytes.
struct OwnedTensor {
  std::string name;
  Dtype dtype = Dtype::f32;
  Shape shape;
  std::vector<std::byte> bytes;
};

// One sequence's state under the names layers.L.conv [K-1, CD] (oldest row first), layers.L.ssm [NH, P, N], layers.L.k
// and layers.L.v [T, kv heads, head_dim], each behind `prefix`. As stored, or widened to float32 (FP8 keys and values
// then carry their scale).
std::vector<OwnedTensor> state_tensors(const State& state, int slot, const Model& model, const std::string& prefix,
                                       bool as_float32);

// Writes all sequences; names are prefixed with "SLOT.". Throws Error for a failed write.
void save_state(const std::filesystem::path& path, const State& state, const Model& model);

// Reads what save_state wrote, bit for bit. Throws Error for a damaged file, one of another model or backend, or one of
// a newer version.
State load_state(const std::filesystem::path& path, const Model& model, Real real);

}  // namespace nemotron
