// The published models by name, with their config.json: what can be planned or made without a folder at hand.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace nemotron {

struct Preset {
  const char* name;       // "Super"
  const char* long_name;  // "NVIDIA-Nemotron-3-Super-120B-A12B", as its folders are called before the format's suffix
  const char* source;     // where the facts come from
  const char* uncertain;  // what was not read from the release itself; "" where everything was
  std::string json;       // config.json of the BF16 release
  Config config;          // the same, parsed
};

// Nano, Super, Ultra, Lightning (spec/model.md 1.1).
const std::vector<Preset>& presets();

// The preset of a name, or nullptr. Case does not matter, nor do "nvidia/", "NVIDIA-", "Nemotron-3-", "-Base" and the
// sizes: "Super", "super-120b-a12b", "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4". What contradicts the preset or
// says more ("nano-9b-v2") is no name of it. A format at the end goes to `format` in lower case ("nvfp4", else "");
// without `format`, a name that has one is not found.
const Preset* find_preset(std::string_view name, std::string* format = nullptr);

// The preset whose tensors have the same names and shapes as a config's, or nullptr.
const Preset* preset_of(const Config& config);

}  // namespace nemotron
