// A tokenizer.json of the byte-level BPE family, read as the `tokenizers` library reads it: text to token ids and back.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nemotron {

struct TokenizerParts;

// Safe to use from many threads at once.
class Tokenizer {
 public:
  // Reads FOLDER/tokenizer.json. Throws Error naming file and field for what is missing, malformed, or not supported.
  explicit Tokenizer(const std::string& folder);
  // The same from the text of the file; `where` names it in messages.
  static Tokenizer parse(std::string_view json, const std::string& where);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // The token ids of a text, in time linear in it up to a logarithm. Each maximal part of `text` that is not UTF-8 is
  // taken for U+FFFD. `add_special` adds what the post-processor adds (<s> and the like). Throws Error if the tokenizer
  // itself cannot encode the text: a byte for which neither it nor unk_token has an entry, or a regex that gives up.
  std::vector<int32_t> encode(std::string_view text, bool add_special = false) const;

  // The text of token ids: the bytes of all of them, what is not UTF-8 then replaced by U+FFFD. An id without an entry,
  // such as the padding of a vocabulary, stands for nothing. `skip_special` leaves special tokens out. Detokenizer does
  // the same token by token.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  int32_t vocabulary_size() const;  // the highest id + 1; not every id below need have an entry
  bool has(int32_t id) const;
  bool is_special(int32_t id) const;           // false without an entry
  std::string_view content(int32_t id) const;  // as the file writes it; empty without an entry
  std::string_view bytes(int32_t id) const;    // what it stands for in a text; empty without an entry
  std::optional<int32_t> id_of(std::string_view content) const;

 private:
  explicit Tokenizer(std::unique_ptr<TokenizerParts> parts);
  std::unique_ptr<TokenizerParts> parts_;
};

}  // namespace nemotron
