// Tokenizer and model must speak of the same ids.

#include "cli/tokenizer.h"

#include <string>

#include "base/error.h"

namespace nemotron::cli {

std::optional<Tokenizer> open_tokenizer(const std::filesystem::path& folder, const Config& config) {
  if (!std::filesystem::exists(folder / "tokenizer.json")) return {};
  std::optional<Tokenizer> tokenizer(std::in_place, folder.string());
  if (tokenizer->vocabulary_size() > config.vocab_size)
    throw Error({.what = "the tokenizer has ids that the model does not know",
                 .where = (folder / "tokenizer.json").string(),
                 .expected = "ids below the vocab_size of config.json, " + std::to_string(config.vocab_size),
                 .found = "id " + std::to_string(tokenizer->vocabulary_size() - 1),
                 .hint = "tokenizer and weights come from different models"});
  return tokenizer;
}

const Tokenizer& need_tokenizer(const std::optional<Tokenizer>& tokenizer, const std::filesystem::path& folder) {
  if (!tokenizer)
    throw Error({.what = "the folder has no tokenizer",
                 .where = (folder / "tokenizer.json").string(),
                 .hint = "copy it from the model's release, or give token ids"});
  return *tokenizer;
}

}  // namespace nemotron::cli
