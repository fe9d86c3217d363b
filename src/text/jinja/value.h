// The values of a template, with Python's types: scalars held directly, the rest on a heap that lives for one
// rendering.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/jinja/bigint.h"
#include "text/jinja/heap.h"

namespace nemotron::jinja {

class Interpreter;
struct Arguments;

class Value {
 public:
  Value() = default;  // missing
  static Value none() { return Value(Kind::none); }
  explicit Value(bool b) : kind_(Kind::boolean) { as_.boolean = b; }
  explicit Value(int64_t i) : kind_(Kind::integer) { as_.integer = i; }
  explicit Value(double d) : kind_(Kind::real) { as_.real = d; }
  explicit Value(Object* o) : kind_(o->kind) {
    as_.object = o;
    ++o->references_;
  }
  explicit Value(const void*) = delete;  // no pointer turns into a boolean
  Value(const Value& other) : kind_(other.kind_), as_(other.as_) {
    if (counted()) ++as_.object->references_;
  }
  Value(Value&& other) noexcept : kind_(other.kind_), as_(other.as_) { other.kind_ = Kind::missing; }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(as_, other.as_);
    return *this;
  }
  ~Value() {
    if (counted() && --as_.object->references_ == 0) as_.object->heap_.reclaim(as_.object);
  }

  Kind kind() const { return kind_; }
  bool is(Kind k) const { return kind_ == k; }
  bool is_missing() const { return kind_ == Kind::missing; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean || kind_ == Kind::big_integer; }
  bool is_number() const { return is_integral() || kind_ == Kind::real; }

  bool boolean() const { return as_.boolean; }
  int64_t integer() const { return kind_ == Kind::boolean ? int64_t{as_.boolean} : as_.integer; }
  double real() const { return as_.real; }
  Object* object() const { return as_.object; }
  template <class T>
  T& as() const {
    return static_cast<T&>(*as_.object);
  }
  // The same object, or the same scalar: Python's `is`.
  bool same(const Value& other) const;

 private:
  explicit Value(Kind k) : kind_(k) {}
  bool counted() const { return kind_ >= Kind::big_integer; }

  Kind kind_ = Kind::missing;
  union {
    bool boolean;
    int64_t integer;
    double real;
    Object* object;
  } as_ = {};
};

struct BigInteger : Object {
  BigInteger(Heap& heap, BigInt v) : Object(heap, Kind::big_integer, sizeof(*this)), value(std::move(v)) {}
  const BigInt value;
};

struct String : Object {
  String(Heap& heap, std::string t, bool is_markup)
      : Object(heap, Kind::string, sizeof(*this) + t.size()), text(std::move(t)), markup(is_markup) {}
  size_t length() const;  // in code points
  bool ascii() const { return length() == text.size(); }
  const std::string text;
  const bool markup;  // markupsafe.Markup, which escapes what is joined to it

 private:
  mutable size_t length_ = SIZE_MAX;
};

// A list or a tuple. Templates cannot change either.
struct Sequence : Object {
  Sequence(Heap& heap, Kind k, std::vector<Value> v)
      : Object(heap, k, sizeof(*this) + v.size() * sizeof(Value)), items(std::move(v)) {}
  void clear() override { std::vector<Value>().swap(items); }
  std::vector<Value> items;
  bool is_group = false;  // the (grouper, list) pairs of groupby have their items as attributes too
};

struct Dict : Object {
  explicit Dict(Heap& heap) : Object(heap, Kind::dict, sizeof(*this)), heap_of(heap) {}
  ~Dict() override { heap_of.give_back(taken); }
  void clear() override;

  // Keys are hashable (hash_of throws otherwise) and compare as Python's: 1, 1.0 and true are one key.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);  // a known key keeps its place

  std::vector<std::pair<Value, Value>> items;  // in the order of insertion

 private:
  size_t position(const Value& key, uint64_t hash) const;
  Heap& heap_of;
  size_t taken = 0;
  std::vector<uint64_t> hashes;
  std::unordered_multimap<uint64_t, uint32_t> index;  // built once there are many items
};

// d.keys(), d.values(), d.items()
struct View : Object {
  enum class Part { keys, values, items };
  View(Heap& heap, Value d, Part p) : Object(heap, Kind::view, sizeof(*this)), dict(std::move(d)), part(p) {}
  void clear() override { dict = Value(); }
  Value dict;
  const Part part;
};

struct Range : Object {
  Range(Heap& heap, int64_t a, int64_t b, int64_t s)
      : Object(heap, Kind::range, sizeof(*this)), start(a), stop(b), step(s) {}
  uint64_t size() const;
  int64_t at(uint64_t i) const { return static_cast<int64_t>(uint64_t(start) + i * uint64_t(step)); }
  const int64_t start, stop, step;
};

// What is left of an iteration. Filters such as map give one and do their work when asked.
struct Iterator : Object {
  explicit Iterator(Heap& heap, const char* type = "generator") : Object(heap, Kind::iterator, 64), type_name(type) {}
  virtual bool next(Value& out) = 0;  // false at the end
  const char* const type_name;
};

struct Undefined : Object {
  Undefined(Heap& heap, std::string h, Value o, Value n, bool is_security = false)
      : Object(heap, Kind::undefined, sizeof(*this) + h.size()),
        hint(std::move(h)),
        object_(std::move(o)),
        name(std::move(n)),
        security(is_security) {}
  void clear() override { object_ = name = Value(); }
  [[noreturn]] void raise() const;
  const std::string hint;  // the whole message, where not empty
  Value object_;           // missing: a variable
  Value name;
  const bool security;  // an attribute that the sandbox hides
};

// Ones that templates call.
using FunctionBody = Value (*)(Interpreter&, Arguments&);
struct Function : Object {
  Function(Heap& heap, const char* n, FunctionBody b) : Object(heap, Kind::function, sizeof(*this)), name(n), body(b) {}
  const char* const name;
  const FunctionBody body;
};

using MethodBody = Value (*)(Interpreter&, const Value& self, Arguments&);
using TestBody = bool (*)(Interpreter&, const Value& subject, Arguments&);
struct Method : Object {
  Method(Heap& heap, Value s, const char* n, MethodBody b)
      : Object(heap, Kind::method, sizeof(*this)), self(std::move(s)), name(n), body(b) {}
  void clear() override { self = Value(); }
  Value self;
  const char* const name;
  const MethodBody body;
};

struct Namespace : Object {
  Namespace(Heap& heap, Value d) : Object(heap, Kind::name_space, sizeof(*this)), attributes(std::move(d)) {}
  void clear() override { attributes = Value(); }
  Value attributes;  // a dict that only this namespace holds
};

struct Cycler : Object {
  Cycler(Heap& heap, std::vector<Value> v) : Object(heap, Kind::cycler, sizeof(*this)), items(std::move(v)) {}
  void clear() override { items.clear(); }
  std::vector<Value> items;
  size_t position = 0;
};

struct Joiner : Object {
  Joiner(Heap& heap, Value s) : Object(heap, Kind::joiner, sizeof(*this)), separator(std::move(s)) {}
  void clear() override { separator = Value(); }
  Value separator;
  bool used = false;
};

// The arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Makers.
Value make_string(Heap& heap, std::string text, bool markup = false);
Value make_list(Heap& heap, std::vector<Value> items);
Value make_tuple(Heap& heap, std::vector<Value> items);
Value make_dict(Heap& heap);
Value make_integer(Heap& heap, BigInt value);  // as a plain integer where it fits
Value make_undefined(Heap& heap, std::string hint);
Value from_json(Heap& heap, const Json& json);

// Python's name of the type: "int", "str", "NoneType" …
const char* type_name(const Value& value);
// As jinja2 names an object in messages: "dict object", "None".
std::string object_name(const Value& value);

bool truth(const Value& value);
// The number of items; throws where Python's len() does.
size_t length_of(const Value& value);
bool has_length(const Value& value);
inline const std::string& text_of(const Value& value) { return value.as<String>().text; }
inline bool is_markup(const Value& value) { return value.is(Kind::string) && value.as<String>().markup; }

// Python's iter(): throws for what cannot be iterated.
Value iterate(Heap& heap, const Value& value);
Value iterate_reversed(Heap& heap, const Value& value);
bool is_iterable(const Value& value);
std::vector<Value> to_vector(Heap& heap, const Value& value);

}  // namespace nemotron::jinja
