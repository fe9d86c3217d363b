// Python's string operations that methods and filters share.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// Without the characters of `chars` at its ends (white space where `chars` is null).
std::string_view stripped(Heap& heap, std::string_view text, const std::string* chars, bool left, bool right);
// At most `count` replacements, all where negative.
std::string replaced(Heap& heap, std::string_view text, std::string_view from, std::string_view to, int64_t count);
// Lines without their ends, or with them.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);
// At runs of white space, at most `count` times from the left (or from the right); negative: everywhere.
std::vector<std::string_view> split_spaces(std::string_view text, int64_t count, bool from_right = false);
// At every `separator` (not empty), at most `count` times.
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t count,
                                       bool from_right = false);
// Offset of the last occurrence, or npos; linear time.
size_t find_last_text(std::string_view text, std::string_view needle);

// text.format(…): fields reach into their values under the sandbox's rules.
Value format_text(Interpreter& in, const Value& format, const std::vector<Value>& positional, const Value& named);

}  // namespace nemotron::jinja
