// The sampling defaults that a checkpoint folder brings: generation_config.json.

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/tensor.h"

namespace nemotron {

// What the file says; what it does not say is empty.
struct GenerationConfig {
  std::vector<int32_t> eos_token_ids;
  std::optional<bool> do_sample;
  std::optional<double> temperature;         // 0 .. 1000
  std::optional<index> top_k;                // 0: all
  std::optional<double> top_p;               // above 0, at most 1
  std::optional<double> min_p;               // 0 .. 1
  std::optional<double> repetition_penalty;  // 0.001 .. 1000
  std::optional<index> max_new_tokens;
};

// Throws Error naming `where` and the field for a value of the wrong kind or out of range. A setting that would change
// the text and is not supported adds a line to `warnings`.
GenerationConfig parse_generation_config(const Json& json, const std::string& where,
                                         std::vector<std::string>& warnings);

// That of a folder; all empty where the folder has no generation_config.json.
GenerationConfig load_generation_config(const std::filesystem::path& folder, std::vector<std::string>& warnings);

}  // namespace nemotron
