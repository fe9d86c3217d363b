// Pre-tokenization: a text is cut into words, each of which is then encoded by itself.

#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/regex.h"

namespace nemotron {

// What one thread needs to cut texts; used by one call at a time.
struct PretokenizerWorkspace {
  struct Step {
    RegexWorkspace regex;
    std::string prefixed, mapped;
  };
  std::deque<Step> steps;  // by step of the pre-tokenizer
  std::string bytes;
  RegexBudget budget;  // for one text; set by who cuts it
};

class Pretokenizer {
 public:
  // The `pre_tokenizer` of a tokenizer file: ByteLevel, or a Sequence that has one, and around it Split, Digits and
  // Punctuation. Anything else throws Error naming `where` and the type.
  Pretokenizer(const Json* description, const std::string& where);

  // Hands out the words of `text` (UTF-8) from left to right, as bytes: what the stand-ins of ByteLevel stand for.
  template <typename Word>
  void split(std::string_view text, PretokenizerWorkspace& workspace, Word word) const {
    const std::function<void(std::string_view)> receive = std::ref(word);
    while (workspace.steps.size() < steps_.size()) workspace.steps.emplace_back();
    run(0, text, workspace, receive);
  }

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Step {
    std::optional<Regex> regex;  // none: the text stays whole
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;  // matches and gaps change places
    bool prefix_space = false;
    bool to_stand_ins = false;  // ByteLevel
  };
  using Receive = std::function<void(std::string_view)>;

  void read(const Json& description, const std::string& where, int depth);
  void read_split(const Json& description, const std::string& where);
  static void read_behavior(const Json& description, const std::string& where, Step& step);
  void run(size_t step, std::string_view text, PretokenizerWorkspace& workspace, const Receive& word) const;
  void finish(std::string_view text, PretokenizerWorkspace& workspace, const Receive& word) const;

  std::vector<Step> steps_;
  bool ends_in_bytes_ = false;  // ByteLevel comes last: its stand-ins need not be written
};

}  // namespace nemotron
