// What a quantizer writes beside the tensors of a recipe: hf_quant_config.json and config.json's quantization_config.

#pragma once

#include "base/json.h"
#include "model/recipe.h"

namespace nemotron {

struct QuantizationRecord {
  Json file;    // hf_quant_config.json; null: none is written
  Json config;  // config.json's "quantization_config"; null: it has none
};

// In the form of the releases (spec/model.md 8.2): Nano's rule has only the file, with the modules that were left out;
// the maps name every quantized module with its algorithm; FP8 has a list of what was left out.
QuantizationRecord quantization_record(const Config& config, const Precision& precision);

}  // namespace nemotron
