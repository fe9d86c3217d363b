// Code points and what Python's str methods know about them.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace nemotron::jinja {

// Strings of templates are UTF-8, except that a lone surrogate from an escape in a string literal stands as its three
// bytes until the output is checked.

// The code point at `at`, which is moved behind it. The text is well formed.
char32_t next_code_point(std::string_view text, size_t& at);
// The code point that ends before `at` (at > 0), which is moved to its start.
char32_t previous_code_point(std::string_view text, size_t& at);
size_t code_point_count(std::string_view text);
bool is_ascii(std::string_view text);
// Offset of the byte after `count` code points from `from`, at most text.size().
size_t skip_code_points(std::string_view text, size_t from, size_t count);
// \xNN, \uNNNN or \UNNNNNNNN, as Python escapes a character.
std::string escape_of(char32_t c);

bool is_space(char32_t c);
bool is_line_break(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alnum(char32_t c);
bool is_printable(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);  // category Lt
bool is_identifier_start(char32_t c);
bool is_identifier_part(char32_t c);
int decimal_value(char32_t c);  // of a character with is_decimal

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        // each word
std::string to_capitalized(std::string_view text);  // the first character
std::string to_swapped(std::string_view text);
std::string to_folded(std::string_view text);

}  // namespace nemotron::jinja
