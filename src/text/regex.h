// A regular expression of a tokenizer file, compiled: exact Unicode classes, matched by PCRE2.
//
// Every character class of the pattern is a set of code points of ours, whatever Unicode version PCRE2 knows. The sets
// cut Unicode into a few dozen pieces; a text is first written as one symbol (a byte) per character that says in which
// piece it lies, and PCRE2 matches the pattern, rewritten over symbols, on that.

#pragma once

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

  std::string source_, where_;      // for messages
  std::vector<uint8_t> symbol_of_;  // [0x110000], by code point
  std::shared_ptr<const pcre2_real_code_8> code_;
};

// The matches in one text, from left to right, none overlapping, as Oniguruma's search repeated from the end of the
// last match finds them: an empty match directly after a match is passed over.
class RegexMatches {
 public:
  // `text` is UTF-8 and outlives this object; the workspace is used by nobody else meanwhile.
  RegexMatches(const Regex& regex, std::string_view text, RegexWorkspace& workspace);

  // Finds the next match, text[begin, end). Throws Error if the pattern needs too many steps or too much memory.
  bool next(size_t& begin, size_t& end);

 private:
  // The byte at which the `symbol`-th character starts; never asked for one before the last.
  size_t byte_of(size_t symbol);

  const Regex& regex_;
  std::string_view text_;
  RegexWorkspace& workspace_;
  bool ascii_;
  size_t search_from_ = 0;                    // symbol
  size_t last_end_ = size_t(-1);              // symbol
  size_t known_symbol_ = 0, known_byte_ = 0;  // the same place
};

}  // namespace nemotron
