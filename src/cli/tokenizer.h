// A folder's tokenizer, where it has one, checked against its model.

#pragma once

#include <filesystem>
#include <optional>

#include "model/config.h"
#include "text/tokenizer.h"

namespace nemotron::cli {

// Empty where the folder has no tokenizer.json. Throws Error for one that cannot be read, or whose ids the model's
// embedding does not reach.
std::optional<Tokenizer> open_tokenizer(const std::filesystem::path& folder, const Config& config);

// Throws Error where there is none.
const Tokenizer& need_tokenizer(const std::optional<Tokenizer>& tokenizer, const std::filesystem::path& folder);

}  // namespace nemotron::cli
