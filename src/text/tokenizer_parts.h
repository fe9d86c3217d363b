// What a tokenizer is made of, and the function that reads it from a tokenizer.json.

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/vocabulary.h"

namespace nemotron {

// A piece of what the post-processor makes: the ids of the text, or special tokens.
struct TemplatePiece {
  bool is_text = true;
  std::vector<int32_t> special = {};
};

// What one call of encode needs; kept from call to call for its caches.
struct EncodeWorkspace {
  PretokenizerWorkspace pretokenizer;
  BpeWorkspace bpe;
  std::string normalized;
};

// Hands every thread a workspace of its own.
class WorkspacePool {
 public:
  std::unique_ptr<EncodeWorkspace> take();
  void give_back(std::unique_ptr<EncodeWorkspace> workspace);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeWorkspace>> idle_;
};

struct TokenizerParts {
  Vocabulary vocabulary;  // added tokens included
  Bpe bpe;
  Normalizer normalizer;
  Pretokenizer pretokenizer;
  AddedTokenFinder raw_tokens;         // found in the text
  AddedTokenFinder normalized_tokens;  // found in the normalized text
  std::vector<TemplatePiece> template_pieces;
  std::vector<bool> special;  // by id
  std::map<int32_t, std::string>
      decoded_bytes;  // where they are not the vocabulary's: added tokens that normalizing changes
  WorkspacePool pool = {};
};

// `json` is the text of the file that `where` names.
std::unique_ptr<TokenizerParts> read_tokenizer(std::string_view json, const std::string& where);

}  // namespace nemotron
