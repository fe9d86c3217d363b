// The Unicode normal forms of tokenizer files, in time linear in the text.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nemotron {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// `text` is UTF-8. Tokenizers are made and used with the normal forms of Unicode 9, whose composition and ordering no
// later version changed for the characters it had; characters assigned since are left as they are.
std::string normalize(std::string_view text, NormalForm form);

class Normalizer {
 public:
  // The `normalizer` of a tokenizer file: null, NFC, NFD, NFKC, NFKD, or a Sequence of these; anything else throws
  // Error.
  Normalizer(const Json* description, const std::string& where);

  // The normalized text: `text` itself where nothing can change, else held by `buffer`.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  std::vector<NormalForm> forms_;  // applied one after another
};

}  // namespace nemotron
