// UTF-8: one sequence at a time, and whole texts made well-formed.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nemotron {

// What stands at the start of a text (Unicode 15, table 3-7, and "U+FFFD substitution of maximal subparts").
struct Utf8 {
  enum Kind { kComplete, kBroken, kCut };
  Kind kind;
  uint8_t length;       // of the character; of the part that one U+FFFD stands for; of what is there of a cut character
  char32_t code_point;  // U+FFFD unless complete
};

// `text` must not be empty. kCut: the text ends inside a character that more bytes could complete.
Utf8 decode_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

// `text` with one U+FFFD for every maximal part that is not UTF-8.
std::string replace_invalid_utf8(std::string_view text);

// Where the first part that is not UTF-8 starts, or text.size().
size_t find_invalid_utf8(std::string_view text);

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

}  // namespace nemotron
