// A regular expression of a tokenizer file, compiled: exact Unicode classes, matched by PCRE2.
//
// Every character class of the pattern is a set of code points of ours, whatever Unicode version PCRE2 knows. The sets
// cut Unicode into a few dozen pieces; a text is first written as one symbol (a byte) per character that says in which
// piece it lies, and PCRE2 matches the pattern, rewritten over symbols, on that.
//
// PCRE2 cannot be interrupted, and a pattern may be made to take quadratic time, or worse. So it is asked about one
// place at a time, is shown a short window of the text and given few steps; where those do not suffice it is asked
// again with more of both, and the processor time of these further questions comes out of a budget.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace nemotron {

// How long regexes may take for one text, all the steps of a pre-tokenizer together.
class RegexBudget {
 public:
  RegexBudget() = default;
  explicit RegexBudget(size_t text_bytes);
  static RegexBudget of_seconds(double seconds);

 private:
  friend class RegexMatches;
  double seconds_ = 0;  // left
};

// What one thread needs to match; used by one call at a time, for any Regex.
class RegexWorkspace {
 public:
  RegexWorkspace();
  ~RegexWorkspace();
  RegexWorkspace(const RegexWorkspace&) = delete;
  RegexWorkspace& operator=(const RegexWorkspace&) = delete;

 private:
  friend class RegexMatches;
  pcre2_real_match_data_8* match_data_ = nullptr;
  pcre2_real_match_context_8* context_ = nullptr;
  pcre2_real_jit_stack_8* stack_ = nullptr;
  std::string symbols_;
  uint32_t steps_ = 0;  // the limit that the context holds
};

class Regex {
 public:
  // Throws Error naming `where` if the pattern is malformed, not supported or too large.
  Regex(std::string_view pattern, const std::string& where);
  // Matches exactly this text.
  static Regex literal(std::string_view text, const std::string& where);
  // Matches one character of the set.
  static Regex any_of(const CodePoints& set, const std::string& where);

 private:
  friend class RegexMatches;
  Regex(const PatternNode& root, std::string source, const std::string& where);
  std::shared_ptr<const pcre2_real_code_8> compiled(const std::string& pattern, uint32_t options) const;

  std::string source_, where_;      // for messages
  std::vector<uint8_t> symbol_of_;  // [0x110000], by code point
  std::array<bool, 256> starts_;    // the symbols a match can start with
  std::array<bool, 256> leads_{};   // those of which the greedy run that opens the pattern consists, if one does
  bool may_be_empty_ = true;        // a match may need no symbol
  std::shared_ptr<const pcre2_real_code_8> code_, code_elsewhere_;  // the second where \G does not hold
};

// The matches in one text, from left to right, none overlapping, as Oniguruma's search repeated from the end of the
// last match finds them: an empty match directly after a match is passed over.
class RegexMatches {
 public:
  // `text` is UTF-8 and outlives this object, as does the budget; the workspace is used by nobody else meanwhile.
  RegexMatches(const Regex& regex, std::string_view text, RegexWorkspace& workspace, RegexBudget& budget);

  // Finds the next match, text[begin, end). Throws Error if the pattern needs too much time or memory.
  bool next(size_t& begin, size_t& end);

 private:
  // The next place, from `at` on, where a match may start; one past the last if there is none.
  size_t skip(size_t at) const;
  // Whether the pattern matches at this symbol, and up to which.
  bool match_at(size_t at, size_t& end);
  int ask(size_t at, size_t window, uint32_t steps);
  int ask_for_time(size_t at, size_t window, uint32_t steps);
  [[noreturn]] void give_up(const std::string& why) const;

  // The byte at which the `symbol`-th character starts; never asked for one before the last.
  size_t byte_of(size_t symbol);

  const Regex& regex_;
  std::string_view text_;
  RegexWorkspace& workspace_;
  RegexBudget& budget_;
  bool ascii_;
  size_t search_from_ = 0;                    // symbol
  size_t last_end_ = size_t(-1);              // symbol
  size_t known_symbol_ = 0, known_byte_ = 0;  // the same place
};

}  // namespace nemotron
