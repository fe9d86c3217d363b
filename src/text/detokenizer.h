// Token ids to text one at a time, handing out only what no later token can change.

#pragma once

#include <cstdint>
#include <string>

namespace nemotron {

class Tokenizer;

class Detokenizer {
 public:
  // The tokenizer outlives this object.
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = false)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  // The text that is certain with this token: whole characters, and U+FFFD as soon as a sequence is known to be broken.
  // The start of a character that the next token may complete stays behind.
  std::string put(int32_t id);

  // The end: U+FFFD for what is unfinished, if anything is. The object is then as new.
  std::string finish();

  // Bytes of an unfinished character.
  size_t pending() const { return rest_.size(); }

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string rest_;  // at most 3 bytes
};

}  // namespace nemotron
