// Python's operators on values: comparison, membership, arithmetic, subscripts.

#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

enum class BinaryOp { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class Order { less, less_equal, greater, greater_equal };

// All throw Failure where Python raises.
bool equal(const Value& a, const Value& b);
bool ordered(Order order, const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);
uint64_t hash_of(const Value& value);  // equal values have equal hashes; throws for lists and dicts
uint64_t hash_of(std::string_view text);

Value binary(Heap& heap, BinaryOp op, const Value& a, const Value& b);
Value negate(Heap& heap, const Value& a);
Value positive(const Value& a);

// Numbers.
BigInt to_big(const Value& integral);
double to_real(const Value& number);  // throws where an integer is too large
Value truncated(Heap& heap, double value);

// An argument that must be an integer, clipped to 64 bits; a boolean is one.
int64_t to_index(const Value& value);

// sequence[start:stop:step]; missing and none are the defaults.
Value slice(Heap& heap, const Value& sequence, const Value& start, const Value& stop, const Value& step);
// sequence[i] for a string, list, tuple or range; missing where the index is outside.
Value item_at(Heap& heap, const Value& sequence, int64_t index);

// Offset of the first `needle` in `text` at or behind `from`, or npos; linear time, which std::string::find is not.
size_t find_text(std::string_view text, std::string_view needle, size_t from = 0);

// Stable sort by Python's `<` on `keys`; returns the order of the items.
std::vector<size_t> sorted_order(Heap& heap, const std::vector<Value>& keys, bool reverse);

}  // namespace nemotron::jinja
