// A regular expression of a tokenizer file, parsed: Oniguruma's Ruby syntax, as far as it needs no memory of what it
// matched.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/code_points.h"

namespace nemotron {

struct PatternNode {
  enum Kind {
    kSet,          // one character of `set`
    kSequence,     // children, one after another
    kChoice,       // the first child that leads to a match
    kRepeat,       // the one child, min to max times
    kAtomic,       // the one child, without going back into it
    kAhead,        // the one child matches here (`negated`: does not); nothing is consumed
    kBehind,       // the same, ending here
    kTextStart,    // \A
    kSearchStart,  // \G: where the search for this match began
    kTextEnd,      // \z
    kLastLineEnd,  // \Z: the end, or before a newline that ends the text
    kLineStart,    // ^
    kLineEnd,      // $
    kWordEdge,     // \b (`negated`: \B)
  };
  static constexpr int kUnlimited = -1;

  Kind kind = kSequence;
  bool negated = false;
  CodePoints set = {};
  std::vector<PatternNode> children = {};
  int min = 0, max = 0;
  enum Mode { kGreedy, kLazy, kPossessive } mode = kGreedy;
};

// Throws Error naming `where`, the place in the pattern and the cause: for what is malformed, and for what is not
// supported (back references, subroutine calls, conditions, rare scripts and properties, letters outside ASCII whose
// case is to be ignored).
PatternNode parse_pattern(std::string_view pattern, const std::string& where);

}  // namespace nemotron
