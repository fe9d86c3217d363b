// JSON as Python's json module reads it, and the Python spelling of it that models fall into.

#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"

namespace nemotron {

// A decimal number by itself: sign, digits, point, exponent, in ASCII. An integer, however it is spelled (5.0, 1e3), is
// one where it fits 64 bits (unsigned ones too; below 2^53 unless it is plain digits); all others are doubles. Nothing:
// not a number, or not finite.
std::optional<Json> read_number(std::string_view text);

// As json.loads: standard JSON, but that an escape may stand for half a surrogate pair as long as it is not kept, and
// NaN, Infinity and what is not UTF-8 are refused. Numbers beyond 64 bits or beyond a double stay as they are written.
// Nothing: malformed.
std::optional<Json> read_json(std::string_view text);

// The same and: 'single quotes', True, False, None, a comma before a closing bracket, control characters but newlines
// in strings, \' and leading zeros. Numbers are those of read_number. Escaped surrogates, paired or not, are refused.
std::optional<Json> read_python_json(std::string_view text);

}  // namespace nemotron
