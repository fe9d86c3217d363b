// Tests: types, comparisons, properties of numbers and strings.

#include "text/jinja/tests.h"

#include <algorithm>
#include <iterator>

#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/parameters.h"
#include "text/jinja/print.h"

namespace nemotron::jinja {
namespace {

template <bool (*Is)(const Value&)>
bool plain(Interpreter&, const Value& subject, Arguments& arguments) {
  Parameters("test", arguments, {});
  return Is(subject);
}

bool is_defined(const Value& v) { return !v.is(Kind::undefined); }
bool is_undefined(const Value& v) { return v.is(Kind::undefined); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.is(Kind::boolean); }
bool is_true(const Value& v) { return v.is(Kind::boolean) && v.boolean(); }
bool is_false(const Value& v) { return v.is(Kind::boolean) && !v.boolean(); }
bool is_integer(const Value& v) { return v.is(Kind::integer) || v.is(Kind::big_integer); }
bool is_float(const Value& v) { return v.is(Kind::real); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is(Kind::string); }
bool is_mapping(const Value& v) { return v.is(Kind::dict); }
bool is_iterable_test(const Value& v) { return is_iterable(v); }
bool is_sequence(const Value& v) { return has_length(v) && !v.is(Kind::view) && !v.is(Kind::loop); }
bool is_callable(const Value& v) {
  return v.is(Kind::function) || v.is(Kind::method) || v.is(Kind::macro) || v.is(Kind::loop) || v.is(Kind::joiner) ||
         v.is(Kind::undefined);
}

template <int64_t Remainder>
bool has_remainder(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("test", arguments, {});
  return equal(binary(in.heap(), BinaryOp::modulo, subject, Value(int64_t{2})), Value(Remainder));
}

bool divisible_by(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("divisibleby", arguments, {"num"}, 1);
  return equal(binary(in.heap(), BinaryOp::modulo, subject, p[0]), Value(int64_t{0}));
}

template <bool Wanted>
bool is_equal(Interpreter&, const Value& subject, Arguments& arguments) {
  const Parameters p("eq", arguments, {"other"}, 1, true);
  return equal(subject, p[0]) == Wanted;
}

template <Order O>
bool is_ordered(Interpreter&, const Value& subject, Arguments& arguments) {
  const Parameters p("compare", arguments, {"other"}, 1, true);
  return ordered(O, subject, p[0]);
}

bool is_in(Interpreter&, const Value& subject, Arguments& arguments) {
  const Parameters p("in", arguments, {"seq"}, 1);
  return contains(p[0], subject);
}

bool same_as(Interpreter&, const Value& subject, Arguments& arguments) {
  const Parameters p("sameas", arguments, {"other"}, 1);
  return subject.same(p[0]);
}

bool is_escaped(Interpreter&, const Value& subject, Arguments& arguments) {
  Parameters("escaped", arguments, {});
  return is_markup(subject);
}

template <const char* const& Method>
bool by_method(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters(Method, arguments, {});
  return truth(find_string_method(Method)->body(in, make_string(in.heap(), str(subject)), arguments));
}
constexpr const char* kIsLower = "islower";
constexpr const char* kIsUpper = "isupper";

bool is_filter(Interpreter&, const Value& subject, Arguments& arguments) {
  Parameters("filter", arguments, {});
  hash_of(subject);  // throws for what cannot be a key
  return subject.is(Kind::string) && find_filter(text_of(subject));
}

bool is_test(Interpreter&, const Value& subject, Arguments& arguments) {
  Parameters("test", arguments, {});
  hash_of(subject);
  return subject.is(Kind::string) && find_test(text_of(subject));
}

struct TestEntry {
  const char* name;
  TestBody body;
};

constexpr TestEntry kTests[] = {
    {"!=", is_equal<false>},
    {"<", is_ordered<Order::less>},
    {"<=", is_ordered<Order::less_equal>},
    {"==", is_equal<true>},
    {">", is_ordered<Order::greater>},
    {">=", is_ordered<Order::greater_equal>},
    {"boolean", plain<is_boolean>},
    {"callable", plain<is_callable>},
    {"defined", plain<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", is_equal<true>},
    {"equalto", is_equal<true>},
    {"escaped", is_escaped},
    {"even", has_remainder<0>},
    {"false", plain<is_false>},
    {"filter", is_filter},
    {"float", plain<is_float>},
    {"ge", is_ordered<Order::greater_equal>},
    {"greaterthan", is_ordered<Order::greater>},
    {"gt", is_ordered<Order::greater>},
    {"in", is_in},
    {"integer", plain<is_integer>},
    {"iterable", plain<is_iterable_test>},
    {"le", is_ordered<Order::less_equal>},
    {"lessthan", is_ordered<Order::less>},
    {"lower", by_method<kIsLower>},
    {"lt", is_ordered<Order::less>},
    {"mapping", plain<is_mapping>},
    {"ne", is_equal<false>},
    {"none", plain<is_none>},
    {"number", plain<is_number>},
    {"odd", has_remainder<1>},
    {"sameas", same_as},
    {"sequence", plain<is_sequence>},
    {"string", plain<is_string>},
    {"test", is_test},
    {"true", plain<is_true>},
    {"undefined", plain<is_undefined>},
    {"upper", by_method<kIsUpper>},
};

}  // namespace

TestBody find_test(std::string_view name) {
  const auto* entry =
      std::lower_bound(std::begin(kTests), std::end(kTests), name,
                       [](const TestEntry& t, std::string_view n) { return std::string_view(t.name) < n; });
  return entry != std::end(kTests) && entry->name == name ? entry->body : nullptr;
}

}  // namespace nemotron::jinja
