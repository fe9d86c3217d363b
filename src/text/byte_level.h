// The printable stand-in that byte-level vocabularies write for each byte, both ways.

#pragma once

#include <string>
#include <string_view>

namespace nemotron {

// Bytes that print in Latin-1 (21-7E, A1-AC, AE-FF) stand for themselves, the others, in order, for U+0100, U+0101 …
char32_t stand_in(unsigned char byte);

// `bytes` as their stand-ins in UTF-8.
std::string stand_ins_of(std::string_view bytes);

// Appends the bytes that `text` (UTF-8) stands for; false, with nothing appended, if a character is no stand-in.
bool append_bytes_of(std::string_view text, std::string& out);

}  // namespace nemotron
