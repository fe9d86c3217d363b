// Comparison, membership, hashes, subscripts and the dispatch of binary operators.

#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <cstring>
#include <functional>
#include <numeric>

#include "text/jinja/arithmetic.h"
#include "text/jinja/failure.h"
#include "text/jinja/markup.h"
#include "text/jinja/percent.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

constexpr int kMaxNesting = 500;  // of lists in lists, for anything that walks a value

void check_nesting(int depth) {
  if (depth > kMaxNesting) fail_value("maximum recursion depth exceeded");
}

bool equal_at(const Value& a, const Value& b, int depth);

bool equal_sequences(const Sequence& a, const Sequence& b, int depth) {
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equal_at(a.items[i], b.items[i], depth)) return false;
  }
  return true;
}

bool equal_dicts(const Dict& a, const Dict& b, int depth) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = b.find(key);
    if (!other || !equal_at(value, *other, depth)) return false;
  }
  return true;
}

bool equal_ranges(const Range& a, const Range& b) {
  if (a.size() != b.size()) return false;
  return a.size() == 0 || (a.start == b.start && (a.size() == 1 || a.step == b.step));
}

// Key and item views compare as sets.
bool equal_views(const View& a, const View& b) {
  if (a.part == View::Part::values || a.part != b.part) return &a == &b;
  const Dict& x = a.dict.as<Dict>();
  const Dict& y = b.dict.as<Dict>();
  if (x.items.size() != y.items.size()) return false;
  for (const auto& [key, value] : x.items) {
    const Value* other = y.find(key);
    if (!other || (a.part == View::Part::items && !equal(value, *other))) return false;
  }
  return true;
}

bool equal_at(const Value& a, const Value& b, int depth) {
  check_nesting(depth);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::missing:
    case Kind::none:
    case Kind::undefined:
      return true;
    case Kind::string: {
      const std::string &x = text_of(a), &y = text_of(b);
      if (x.size() != y.size()) return false;
      a.object()->heap().copies(x.size());
      return x == y;
    }
    default:
      break;
  }
  if (a.same(b)) return true;
  a.object()->heap().work(1);
  switch (a.kind()) {
    case Kind::list:
    case Kind::tuple:
      return equal_sequences(a.as<Sequence>(), b.as<Sequence>(), depth + 1);
    case Kind::dict:
      return equal_dicts(a.as<Dict>(), b.as<Dict>(), depth + 1);
    case Kind::range:
      return equal_ranges(a.as<Range>(), b.as<Range>());
    case Kind::view:
      return equal_views(a.as<View>(), b.as<View>());
    default:
      return false;
  }
}

const char* symbol(Order order) {
  switch (order) {
    case Order::less:
      return "<";
    case Order::less_equal:
      return "<=";
    case Order::greater:
      return ">";
    case Order::greater_equal:
      return ">=";
  }
  return "<";
}

bool holds(Order order, std::partial_ordering result) {
  switch (order) {
    case Order::less:
      return result < 0;
    case Order::less_equal:
      return result <= 0;
    case Order::greater:
      return result > 0;
    case Order::greater_equal:
      return result >= 0;
  }
  return false;
}

bool ordered_at(Order order, const Value& a, const Value& b, int depth) {
  check_nesting(depth);
  if (a.is_number() && b.is_number()) return holds(order, compare_numbers(a, b));
  if (a.is(Kind::undefined)) a.as<Undefined>().raise();
  if (b.is(Kind::undefined)) b.as<Undefined>().raise();
  if (a.is(Kind::string) && b.is(Kind::string)) {
    a.object()->heap().copies(std::min(text_of(a).size(), text_of(b).size()));
    return holds(order, text_of(a) <=> text_of(b));  // UTF-8 sorts as its code points do
  }
  if (a.kind() == b.kind() && (a.is(Kind::list) || a.is(Kind::tuple))) {
    const auto &x = a.as<Sequence>().items, &y = b.as<Sequence>().items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      a.object()->heap().work(1);
      if (!equal_at(x[i], y[i], depth + 1)) return ordered_at(order, x[i], y[i], depth + 1);
    }
    return holds(order, x.size() <=> y.size());
  }
  fail_value("'" + std::string(symbol(order)) + "' not supported between instances of '" + type_name(a) + "' and '" +
             type_name(b) + "'");
}

uint64_t hash_at(const Value& value, int depth) {
  check_nesting(depth);
  switch (value.kind()) {
    case Kind::boolean:
    case Kind::integer:
      return std::hash<int64_t>{}(value.integer());
    case Kind::big_integer: {
      const BigInt& big = value.as<BigInteger>().value;
      value.object()->heap().work(big.limbs() * big.limbs() / 16);
      return hash_of(big.text(16));
    }
    case Kind::real: {
      const double d = value.real();
      if (std::isfinite(d) && d == std::trunc(d)) {
        const BigInt integer = BigInt::truncate(d);
        const auto small = integer.int64();
        return small ? std::hash<int64_t>{}(*small) : hash_of(integer.text(16));
      }
      return std::hash<double>{}(d);
    }
    case Kind::string:
      value.object()->heap().copies(text_of(value).size());
      return hash_of(text_of(value));
    case Kind::tuple: {
      uint64_t hash = 0x9E3779B97F4A7C15;
      for (const Value& item : value.as<Sequence>().items) {
        value.object()->heap().work(1);
        hash = (hash ^ hash_at(item, depth + 1)) * 0x100000001B3;
      }
      return hash;
    }
    case Kind::list:
    case Kind::dict:
      fail_value("unhashable type: '" + std::string(type_name(value)) + "'");
    case Kind::missing:
    case Kind::none:
    case Kind::undefined:
      return static_cast<uint64_t>(value.kind());
    default:
      return std::hash<const void*>{}(value.object());
  }
}

Value repeat(Heap& heap, const Value& sequence, const Value& times) {
  const int64_t count = std::max<int64_t>(0, to_index(times));
  const auto multiplied = [&](size_t bytes) {
    if (bytes && static_cast<uint64_t>(count) > heap.limits().memory / bytes) heap.allow(SIZE_MAX);
    heap.allow(bytes * static_cast<size_t>(count));
    return bytes * static_cast<size_t>(count);
  };
  if (sequence.is(Kind::string)) {
    const std::string& text = text_of(sequence);
    const size_t size = multiplied(text.size());
    std::string out;
    out.reserve(size);
    if (size) out = text;
    while (out.size() < size) out.append(out, 0, std::min(out.size(), size - out.size()));
    return make_string(heap, std::move(out), is_markup(sequence));
  }
  const auto& items = sequence.as<Sequence>().items;
  std::vector<Value> out;
  out.reserve(multiplied(items.size() * sizeof(Value)) / sizeof(Value));
  if (!items.empty()) {
    for (int64_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  }
  return sequence.is(Kind::list) ? make_list(heap, std::move(out)) : make_tuple(heap, std::move(out));
}

bool is_sequence(const Value& v) { return v.is(Kind::string) || v.is(Kind::list) || v.is(Kind::tuple); }

Value concatenate(Heap& heap, const Value& a, const Value& b) {
  if (a.is(Kind::string)) {
    if (is_markup(a) || is_markup(b)) return make_string(heap, escaped(a) + escaped(b), true);
    heap.allow(text_of(a).size() + text_of(b).size());
    return make_string(heap, text_of(a) + text_of(b));
  }
  std::vector<Value> items;
  const auto &x = a.as<Sequence>().items, &y = b.as<Sequence>().items;
  heap.allow((x.size() + y.size()) * sizeof(Value));
  items.reserve(x.size() + y.size());
  items.insert(items.end(), x.begin(), x.end());
  items.insert(items.end(), y.begin(), y.end());
  return a.is(Kind::list) ? make_list(heap, std::move(items)) : make_tuple(heap, std::move(items));
}

const char* symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return "+";
    case BinaryOp::subtract:
      return "-";
    case BinaryOp::multiply:
      return "*";
    case BinaryOp::divide:
      return "/";
    case BinaryOp::floor_divide:
      return "//";
    case BinaryOp::modulo:
      return "%";
    case BinaryOp::power:
      return "** or pow()";
  }
  return "?";
}

}  // namespace

bool equal(const Value& a, const Value& b) { return equal_at(a, b, 0); }
bool ordered(Order order, const Value& a, const Value& b) { return ordered_at(order, a, b, 0); }
uint64_t hash_of(const Value& value) { return hash_at(value, 0); }
uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

bool contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::string:
      if (!item.is(Kind::string)) {
        fail_value("'in <string>' requires string as left operand, not " + std::string(type_name(item)));
      }
      container.object()->heap().scans(text_of(container).size());
      return find_text(text_of(container), text_of(item)) != std::string::npos;
    case Kind::dict:
      return container.as<Dict>().find(item) != nullptr;
    case Kind::view:
      if (container.as<View>().part == View::Part::keys) return contains(container.as<View>().dict, item);
      break;
    case Kind::range: {
      const Range& r = container.as<Range>();
      if (!item.is_number()) return false;
      if (r.size() == 0) return false;
      const double d = to_real(item);
      if (d != std::trunc(d)) return false;
      const auto value = (item.is(Kind::real) ? BigInt::truncate(d) : to_big(item)).int64();
      if (!value) return false;
      const int64_t low = std::min(r.at(0), r.at(r.size() - 1)), high = std::max(r.at(0), r.at(r.size() - 1));
      if (*value < low || *value > high) return false;
      const uint64_t step = r.step > 0 ? uint64_t(r.step) : 0 - uint64_t(r.step);
      return (r.step > 0 ? uint64_t(*value) - uint64_t(r.start) : uint64_t(r.start) - uint64_t(*value)) % step == 0;
    }
    default:
      break;
  }
  if (!is_iterable(container)) {
    fail_value("argument of type '" + std::string(type_name(container)) + "' is not iterable");
  }
  const Value iterator = iterate(container.object()->heap(), container);
  for (Value other; iterator.as<Iterator>().next(other);) {
    if (item.same(other) || equal(other, item)) return true;
  }
  return false;
}

Value binary(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return calculate(heap, op, a, b);
  if (op == BinaryOp::modulo && a.is(Kind::string)) return percent_format(heap, a, b);
  if (a.is(Kind::undefined)) a.as<Undefined>().raise();
  if (b.is(Kind::undefined)) b.as<Undefined>().raise();
  if (op == BinaryOp::add && is_sequence(a)) {
    if (a.kind() == b.kind()) return concatenate(heap, a, b);
    const std::string type = a.is(Kind::string) ? "str" : type_name(a);
    fail_value("can only concatenate " + type + " (not \"" + type_name(b) + "\") to " + type);
  }
  if (op == BinaryOp::multiply) {
    if (is_sequence(a) && b.is_integral()) return repeat(heap, a, b);
    if (is_sequence(b) && a.is_integral()) return repeat(heap, b, a);
    if (is_sequence(a) || is_sequence(b)) {
      fail_value("can't multiply sequence by non-int of type '" + std::string(type_name(is_sequence(a) ? b : a)) + "'");
    }
  }
  fail_value("unsupported operand type(s) for " + std::string(symbol(op)) + ": '" + type_name(a) + "' and '" +
             type_name(b) + "'");
}

int64_t to_index(const Value& value) {
  if (value.is(Kind::integer) || value.is(Kind::boolean)) return value.integer();
  if (value.is(Kind::big_integer)) return value.as<BigInteger>().value.is_negative() ? INT64_MIN : INT64_MAX;
  if (value.is(Kind::undefined)) value.as<Undefined>().raise();
  fail_value("'" + std::string(type_name(value)) + "' object cannot be interpreted as an integer");
}

namespace {

// Python's rule for one bound of a slice.
int64_t slice_bound(const Value& value, int64_t length, bool backwards, bool is_start) {
  if (value.is_missing() || value.is_none()) {
    if (is_start) return backwards ? length - 1 : 0;
    return backwards ? -1 : length;
  }
  if (!value.is_integral()) fail_value("slice indices must be integers or None or have an __index__ method");
  int64_t at = to_index(value);
  if (at < 0) {
    at = at < -length ? (backwards ? -1 : 0) : at + length;
  } else if (at >= length) {
    at = backwards ? length - 1 : length;
  }
  return at;
}

Value slice_string(Heap& heap, const String& s, int64_t begin, int64_t step, int64_t count) {
  heap.scans(s.text.size());
  const auto at = [&](int64_t i) { return skip_code_points(s.text, 0, static_cast<size_t>(i)); };
  if (count == 0) return make_string(heap, "", s.markup);
  if (step == 1) {
    const size_t from = s.ascii() ? static_cast<size_t>(begin) : at(begin);
    const size_t to =
        s.ascii() ? from + static_cast<size_t>(count) : skip_code_points(s.text, from, static_cast<size_t>(count));
    return make_string(heap, s.text.substr(from, to - from), s.markup);
  }
  std::string out;
  if (s.ascii()) {
    for (int64_t i = 0; i < count; ++i) out += s.text[static_cast<size_t>(begin + i * step)];
    return make_string(heap, std::move(out), s.markup);
  }
  size_t position = at(begin);
  for (int64_t i = 0; i < count; ++i) {
    size_t end = position;
    append_utf8(out, next_code_point(s.text, end));
    if (i + 1 == count) break;
    if (step > 0)
      position = skip_code_points(s.text, position, static_cast<size_t>(step));
    else
      for (int64_t k = step; k < 0; ++k) previous_code_point(s.text, position);
  }
  return make_string(heap, std::move(out), s.markup);
}

}  // namespace

Value slice(Heap& heap, const Value& sequence, const Value& start, const Value& stop, const Value& step) {
  if (sequence.is(Kind::undefined)) sequence.as<Undefined>().raise();
  if (!is_sequence(sequence) && !sequence.is(Kind::range)) {
    if (sequence.is(Kind::dict)) fail_value("unhashable type: 'slice'");
    fail_value("'" + std::string(type_name(sequence)) + "' object is not subscriptable");
  }
  int64_t stride = 1;
  if (!step.is_missing() && !step.is_none()) {
    if (!step.is_integral()) fail_value("slice indices must be integers or None or have an __index__ method");
    stride = std::clamp<int64_t>(to_index(step), -INT64_MAX, INT64_MAX);
    if (stride == 0) fail_value("slice step cannot be zero");
  }
  const auto length = static_cast<int64_t>(length_of(sequence));
  stride = std::clamp<int64_t>(stride, -length - 1, length + 1);  // no further than any step can reach
  const int64_t begin = slice_bound(start, length, stride < 0, true);
  const int64_t end = slice_bound(stop, length, stride < 0, false);
  int64_t count = 0;
  if (stride > 0 && begin < end) count = (end - begin - 1) / stride + 1;
  if (stride < 0 && begin > end) count = (begin - end - 1) / -stride + 1;

  if (sequence.is(Kind::string)) return slice_string(heap, sequence.as<String>(), begin, stride, count);
  if (sequence.is(Kind::range)) {
    const Range& r = sequence.as<Range>();
    return Value(new Range(heap, r.start + begin * r.step, r.start + end * r.step, r.step * stride));
  }
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) items.push_back(sequence.as<Sequence>().items[size_t(begin + i * stride)]);
  return sequence.is(Kind::list) ? make_list(heap, std::move(items)) : make_tuple(heap, std::move(items));
}

Value item_at(Heap& heap, const Value& sequence, int64_t index) {
  const auto length = static_cast<int64_t>(length_of(sequence));
  if (index < 0) index += length;
  if (index < 0 || index >= length) return Value();
  if (sequence.is(Kind::string)) return slice_string(heap, sequence.as<String>(), index, 1, 1);
  if (sequence.is(Kind::range)) return Value(sequence.as<Range>().at(static_cast<uint64_t>(index)));
  return sequence.as<Sequence>().items[static_cast<size_t>(index)];
}

size_t find_text(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string::npos;
  if (needle.empty()) return from;
  const void* at = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return at ? static_cast<size_t>(static_cast<const char*>(at) - text.data()) : std::string::npos;
}

std::vector<size_t> sorted_order(Heap& heap, const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Merge sort by hand: `<` may throw, and need not be a proper order (NaN), which std::stable_sort must not meet.
  std::vector<size_t> merged(order.size());
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      size_t left = begin, right = std::min(begin + width, order.size());
      const size_t middle = right, end = std::min(begin + 2 * width, order.size());
      for (size_t out = begin; out < end; ++out) {
        heap.work(1);
        bool take_right = left == middle;
        if (!take_right && right < end) {
          const Value &l = keys[order[left]], &r = keys[order[right]];
          take_right = reverse ? ordered(Order::less, l, r) : ordered(Order::less, r, l);
        }
        merged[out] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  return order;
}

}  // namespace nemotron::jinja
