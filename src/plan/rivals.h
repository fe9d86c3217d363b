// The other models of a comparison, from their public configurations.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/architecture.h"

namespace nemotron {

std::vector<std::string> rival_names();  // "gpt-oss-120b", "gpt-oss-20b", "qwen3.5-122b-a10b", "qwen3.5-27b"

// The text model of a rival in any capitals, or nothing for another name. `weights`: "" as released, or bf16, fp8,
// nvfp4, mixed (matrices in FP8; in NVFP4; experts or dense MLP in NVFP4 and the other matrices in FP8), by which
// embeddings, head and router stay BF16.
std::optional<Architecture> rival(std::string_view name, std::string_view weights);

}  // namespace nemotron
