// The methods of lists, tuples, dicts, ranges, numbers, loops and cyclers.

#include <bit>
#include <cmath>
#include <iterator>

#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/parameters.h"
#include "text/jinja/print.h"

namespace nemotron::jinja {
namespace {

Value index_of(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("index", arguments, {"value", "start", "stop"}, 1, true);
  const auto length = static_cast<int64_t>(length_of(self));
  const auto bound = [&](size_t i, int64_t otherwise) {
    const int64_t at = p.integer(i, otherwise);
    return at < 0 ? std::max<int64_t>(0, at + length) : std::min(at, length);
  };
  for (int64_t i = bound(1, 0), end = bound(2, length); i < end; ++i) {
    in.heap().work(1);
    if (equal(item_at(in.heap(), self, i), p[0])) return Value(i);
  }
  fail_value(repr(p[0]) + " is not in " + type_name(self));
}

Value count(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("count", arguments, {"value"}, 1, true);
  int64_t found = 0;
  const Value iterator = iterate(in.heap(), self);
  for (Value item; iterator.as<Iterator>().next(item);) found += equal(item, p[0]);
  return Value(found);
}

Value copy_list(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("copy", arguments, {});
  return make_list(in.heap(), self.as<Sequence>().items);
}

Value copy_dict(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("copy", arguments, {});
  const Value copy = make_dict(in.heap());
  for (const auto& [key, value] : self.as<Dict>().items) copy.as<Dict>().set(key, value);
  return copy;
}

Value get(Interpreter&, const Value& self, Arguments& arguments) {
  const Parameters p("get", arguments, {"key", "default"}, 1, true);
  if (const Value* value = self.as<Dict>().find(p[0])) return *value;
  return p.has(1) ? p[1] : Value::none();
}

template <View::Part Part>
Value view(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("dict view", arguments, {});
  return Value(new View(in.heap(), self, Part));
}

Value from_keys(Interpreter& in, const Value&, Arguments& arguments) {
  const Parameters p("fromkeys", arguments, {"iterable", "value"}, 1, true);
  const Value dict = make_dict(in.heap());
  const Value iterator = iterate(in.heap(), p[0]);
  for (Value key; iterator.as<Iterator>().next(key);) dict.as<Dict>().set(key, p.has(1) ? p[1] : Value::none());
  return dict;
}

Value is_disjoint(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("isdisjoint", arguments, {"other"}, 1, true);
  const Value iterator = iterate(in.heap(), p[0]);
  for (Value item; iterator.as<Iterator>().next(item);) {
    if (contains(self, item)) return Value(false);
  }
  return Value(true);
}

Value bit_length(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("bit_length", arguments, {});
  return Value(static_cast<int64_t>(to_big(self).bits()));
}

Value bit_count(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("bit_count", arguments, {});
  int64_t ones = 0;
  const BigInt big = to_big(self);
  for (const char c : (big.is_negative() ? -big : big).text(2)) ones += c == '1';
  return Value(ones);
}

Value itself(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("conjugate", arguments, {});
  return self;
}

Value is_integer(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("is_integer", arguments, {});
  return Value(std::isfinite(self.real()) && self.real() == std::trunc(self.real()));
}

Value cycle(Interpreter&, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) fail_value("cycle() takes no keyword arguments");
  if (arguments.positional.empty()) fail_value("no items for cycling given");
  const auto count = static_cast<int64_t>(arguments.positional.size());
  const int64_t at = self.as<Loop>().index0 % count;
  return arguments.positional[static_cast<size_t>(at < 0 ? at + count : at)];
}

Value changed(Interpreter& in, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) fail_value("changed() takes no keyword arguments");
  return Value(self.as<Loop>().changed(make_tuple(in.heap(), arguments.positional)));
}

Value next(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("next", arguments, {});
  Cycler& cycler = self.as<Cycler>();
  const Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Value reset(Interpreter&, const Value& self, Arguments& arguments) {
  Parameters("reset", arguments, {});
  self.as<Cycler>().position = 0;
  return Value::none();
}

struct KindMethod {
  Kind kind;
  MethodEntry entry;
};

constexpr KindMethod kMethods[] = {
    {Kind::list, {"index", index_of}},
    {Kind::list, {"count", count}},
    {Kind::list, {"copy", copy_list}},
    {Kind::tuple, {"index", index_of}},
    {Kind::tuple, {"count", count}},
    {Kind::range, {"index", index_of}},
    {Kind::range, {"count", count}},
    {Kind::dict, {"get", get}},
    {Kind::dict, {"items", view<View::Part::items>}},
    {Kind::dict, {"keys", view<View::Part::keys>}},
    {Kind::dict, {"values", view<View::Part::values>}},
    {Kind::dict, {"copy", copy_dict}},
    {Kind::dict, {"fromkeys", from_keys}},
    {Kind::function, {"fromkeys", from_keys}},
    {Kind::view, {"isdisjoint", is_disjoint}},
    {Kind::integer, {"bit_length", bit_length}},
    {Kind::integer, {"bit_count", bit_count}},
    {Kind::integer, {"conjugate", itself}},
    {Kind::real, {"is_integer", is_integer}},
    {Kind::real, {"conjugate", itself}},
    {Kind::loop, {"cycle", cycle}},
    {Kind::loop, {"changed", changed}},
    {Kind::cycler, {"next", next}},
    {Kind::cycler, {"reset", reset}},
};

}  // namespace

const MethodEntry* find_collection_method(Kind kind, std::string_view name) {
  for (const KindMethod& method : kMethods) {
    if (method.kind == kind && method.entry.name == name) return &method.entry;
  }
  return nullptr;
}

}  // namespace nemotron::jinja
