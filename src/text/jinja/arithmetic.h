// Python's arithmetic on int, float and bool.

#pragma once

#include <compare>

#include "text/jinja/operators.h"

namespace nemotron::jinja {

// Exact, also between large integers and floats.
std::partial_ordering compare_numbers(const Value& a, const Value& b);
Value calculate(Heap& heap, BinaryOp op, const Value& a, const Value& b);
// round(value, digits); an integer stays one.
Value round_number(Heap& heap, const Value& value, int64_t digits);

}  // namespace nemotron::jinja
