// Compares what the quantizer's JSON says about each module's format with the tensors, which alone decide.

#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace nemotron {

struct Binding;

// Reads hf_quant_config.json, or config.json's `quantization_config` where there is none (spec/model.md 8.2), and adds
// a line to `warnings` for what differs, is damaged, or is unknown. Never throws for what these say.
void check_quantization(const std::filesystem::path& folder, const Json& config, std::span<const Binding> bindings,
                        std::vector<std::string>& warnings);

}  // namespace nemotron
