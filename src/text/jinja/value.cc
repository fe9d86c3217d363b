// Heap, the makers of values, and what every type must answer: length, truth, iteration, its name.

#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/failure.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {

Object::Object(Heap& heap, Kind k, size_t bytes) : kind(k), bytes_(bytes), heap_(heap) {
  heap.take(bytes);
  next_ = heap.first_;
  if (next_) next_->previous_ = this;
  heap.first_ = this;
}

Object::~Object() {
  (previous_ ? previous_->next_ : heap_.first_) = next_;
  if (next_) next_->previous_ = previous_;
  heap_.memory_ -= bytes_;
}

Heap::~Heap() {
  // What is still here hangs in cycles (a macro and its scope). Held once more, everything can be emptied in any order.
  for (Object* o = first_; o; o = o->next_) ++o->references_;
  for (Object* o = first_; o; o = o->next_) o->clear();
  while (first_) delete first_;
}

void Heap::reclaim(Object* object) {
  dead_.push_back(object);
  if (reclaiming_) return;
  reclaiming_ = true;
  while (!dead_.empty()) {
    Object* o = dead_.back();
    dead_.pop_back();
    delete o;
  }
  reclaiming_ = false;
}

void Heap::too_much_work() const {
  fail_value("the template takes too long: stopped after " + std::to_string(limits_.work) + " units of work");
}

void Heap::too_much_memory() const {
  fail_value("the template needs too much memory: more than " + std::to_string(limits_.memory >> 20) + " MiB");
}

void Heap::too_deep() const { fail_value("maximum recursion depth exceeded"); }

bool Value::same(const Value& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::missing:
    case Kind::none:
      return true;
    case Kind::boolean:
      return boolean() == other.boolean();
    case Kind::integer:
      return integer() == other.integer();
    case Kind::real:
      return real() == other.real();
    default:
      return object() == other.object();
  }
}

size_t String::length() const {
  if (length_ == SIZE_MAX) length_ = code_point_count(text);
  return length_;
}

uint64_t Range::size() const {
  if (step > 0) return start < stop ? (uint64_t(stop) - uint64_t(start) - 1) / uint64_t(step) + 1 : 0;
  return start > stop ? (uint64_t(start) - uint64_t(stop) - 1) / (0 - uint64_t(step)) + 1 : 0;
}

void Undefined::raise() const {
  std::string message = hint;
  if (message.empty()) {
    if (object_.is_missing())
      message = repr(name) + " is undefined";
    else if (name.is(Kind::string))
      message = "'" + object_name(object_) + "' has no attribute " + repr(name);
    else
      message = object_name(object_) + " has no element " + repr(name);
  }
  fail(security ? FailureKind::security : FailureKind::undefined, std::move(message));
}

constexpr size_t kIndexFrom = 9;  // a scan of fewer items is as fast as an index
constexpr size_t kItemBytes = 2 * sizeof(Value) + sizeof(uint64_t);

void Dict::clear() {
  items.clear();
  hashes.clear();
  index.clear();
}

size_t Dict::position(const Value& key, uint64_t hash) const {
  if (items.size() < kIndexFrom) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (hashes[i] == hash && equal(items[i].first, key)) return i;
    }
    return items.size();
  }
  const auto [begin, end] = index.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    heap_of.work(1);  // keys chosen to collide cost what they take
    if (equal(items[at->second].first, key)) return at->second;
  }
  return items.size();
}

const Value* Dict::find(const Value& key) const {
  const size_t i = position(key, hash_of(key));
  return i < items.size() ? &items[i].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const uint64_t hash = hash_of(key);
  const auto is_key = [&](size_t i) { return items[i].first.is(Kind::string) && text_of(items[i].first) == key; };
  if (items.size() < kIndexFrom) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (hashes[i] == hash && is_key(i)) return &items[i].second;
    }
    return nullptr;
  }
  const auto [begin, end] = index.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    heap_of.work(1);
    if (is_key(at->second)) return &items[at->second].second;
  }
  return nullptr;
}

void Dict::set(const Value& key, Value value) {
  const uint64_t hash = hash_of(key);
  const size_t at = position(key, hash);
  if (at < items.size()) {
    items[at].second = std::move(value);
    return;
  }
  heap_of.take(kItemBytes);
  taken += kItemBytes;
  items.emplace_back(key, std::move(value));
  hashes.push_back(hash);
  if (items.size() == kIndexFrom) {
    for (size_t i = 0; i < items.size(); ++i) index.emplace(hashes[i], static_cast<uint32_t>(i));
  } else if (items.size() > kIndexFrom) {
    index.emplace(hash, static_cast<uint32_t>(at));
  }
}

Value make_string(Heap& heap, std::string text, bool markup) {
  return Value(new String(heap, std::move(text), markup));
}
Value make_list(Heap& heap, std::vector<Value> items) {
  return Value(new Sequence(heap, Kind::list, std::move(items)));
}
Value make_tuple(Heap& heap, std::vector<Value> items) {
  return Value(new Sequence(heap, Kind::tuple, std::move(items)));
}
Value make_dict(Heap& heap) { return Value(new Dict(heap)); }

Value make_integer(Heap& heap, BigInt value) {
  if (const auto small = value.int64()) return Value(*small);
  return Value(new BigInteger(heap, std::move(value)));
}

Value make_undefined(Heap& heap, std::string hint) {
  return Value(new Undefined(heap, std::move(hint), Value(), Value()));
}

// Digits alone are an integer of any size, all else is a double.
static Value spelled_number(Heap& heap, std::string_view digits) {
  const bool negative = digits.starts_with('-');
  const std::string_view magnitude = digits.substr(negative);
  if (magnitude.find_first_not_of("0123456789") != magnitude.npos)
    return Value(Json(Json::Spelled{std::string(digits)}).number());
  const BigInt value = BigInt::parse(magnitude, 10);
  return make_integer(heap, negative ? -value : value);
}

Value from_json(Heap& heap, const Json& json) {
  if (json.is_bool()) return Value(json.boolean());
  if (json.is_int()) return Value(json.integer());
  if (json.is_uint()) return make_integer(heap, BigInt(json.unsigned_integer()));
  if (json.is_spelled()) return spelled_number(heap, json.spelled());
  if (json.is_double()) return Value(json.number());
  if (json.is_string()) return make_string(heap, json.string());
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.array().size());
    for (const Json& item : json.array()) items.push_back(from_json(heap, item));
    return make_list(heap, std::move(items));
  }
  if (json.is_object()) {
    Value dict = make_dict(heap);
    for (const auto& [key, item] : json.object()) dict.as<Dict>().set(make_string(heap, key), from_json(heap, item));
    return dict;
  }
  return Value::none();
}

const char* type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
      return "missing";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
    case Kind::big_integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.as<String>().markup ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::view:
      switch (value.as<View>().part) {
        case View::Part::keys:
          return "dict_keys";
        case View::Part::values:
          return "dict_values";
        case View::Part::items:
          return "dict_items";
      }
      return "dict_keys";
    case Kind::range:
      return "range";
    case Kind::iterator:
      return value.as<Iterator>().type_name;
    case Kind::undefined:
      return "Undefined";
    case Kind::function:
      return "function";
    case Kind::method:
      return "builtin_function_or_method";
    case Kind::macro:
      return "Macro";
    case Kind::name_space:
      return "Namespace";
    case Kind::loop:
      return "LoopContext";
    case Kind::cycler:
      return "Cycler";
    case Kind::joiner:
      return "Joiner";
    case Kind::activation:
      return "function";
  }
  return "object";
}

std::string object_name(const Value& value) {
  if (value.is_none()) return "None";
  return std::string(type_name(value)) + " object";
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::none:
    case Kind::undefined:
      return false;
    case Kind::boolean:
      return value.boolean();
    case Kind::integer:
      return value.integer() != 0;
    case Kind::real:
      return value.real() != 0;
    default:
      return !has_length(value) || length_of(value) > 0;
  }
}

bool has_length(const Value& value) {
  switch (value.kind()) {
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
    case Kind::undefined:
    case Kind::loop:
      return true;
    default:
      return false;
  }
}

size_t length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::string:
      return value.as<String>().length();
    case Kind::list:
    case Kind::tuple:
      return value.as<Sequence>().items.size();
    case Kind::dict:
      return value.as<Dict>().items.size();
    case Kind::view:
      return value.as<View>().dict.as<Dict>().items.size();
    case Kind::range:
      return value.as<Range>().size();
    case Kind::undefined:
      return 0;
    case Kind::loop:
      return value.as<Loop>().length();
    default:
      fail_value("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
}

namespace {

// The n-th item of anything with numbered items, without copying it first.
class IndexIterator : public Iterator {
 public:
  IndexIterator(Heap& heap, Value of, const char* type, bool reversed)
      : Iterator(heap, type), heap_(heap), of_(std::move(of)), size_(size()), reversed_(reversed) {}
  void clear() override { of_ = Value(); }
  bool next(Value& out) override {
    if (done_ == size_) return false;
    heap_.work(1);
    const size_t i = reversed_ ? size_ - 1 - done_ : done_;
    ++done_;
    switch (of_.kind()) {
      case Kind::list:
      case Kind::tuple:
        out = of_.as<Sequence>().items[i];
        break;
      case Kind::range:
        out = Value(of_.as<Range>().at(i));
        break;
      case Kind::dict:
        out = of_.as<Dict>().items[i].first;
        break;
      default:
        out = of_view(of_.as<View>(), i);
        break;
    }
    return true;
  }

 private:
  size_t size() const { return length_of(of_); }
  Value of_view(const View& view, size_t i) const {
    const auto& [key, value] = view.dict.as<Dict>().items[i];
    if (view.part == View::Part::keys) return key;
    if (view.part == View::Part::values) return value;
    return make_tuple(heap_, {key, value});
  }
  Heap& heap_;
  Value of_;
  size_t size_, done_ = 0;
  bool reversed_;
};

class CharacterIterator : public Iterator {
 public:
  CharacterIterator(Heap& heap, Value of, bool reversed)
      : Iterator(heap, reversed ? "reversed" : "str_iterator"),
        heap_(heap),
        of_(std::move(of)),
        at_(reversed ? text_of(of_).size() : 0),
        reversed_(reversed) {}
  void clear() override { of_ = Value(); }
  bool next(Value& out) override {
    const String& s = of_.as<String>();
    const size_t from = at_;
    if (reversed_) {
      if (at_ == 0) return false;
      previous_code_point(s.text, at_);
      out = make_string(heap_, s.text.substr(at_, from - at_), s.markup);
    } else {
      if (at_ >= s.text.size()) return false;
      next_code_point(s.text, at_);
      out = make_string(heap_, s.text.substr(from, at_ - from));
    }
    return true;
  }

 private:
  Heap& heap_;
  Value of_;
  size_t at_;
  bool reversed_;
};

class NoItems : public Iterator {
 public:
  explicit NoItems(Heap& heap) : Iterator(heap) {}
  bool next(Value&) override { return false; }
};

class LoopIterator : public Iterator {
 public:
  LoopIterator(Heap& heap, Value of) : Iterator(heap, "LoopContext"), heap_(heap), of_(std::move(of)) {}
  void clear() override { of_ = Value(); }
  bool next(Value& out) override {
    Value item;
    if (!of_.as<Loop>().next(item)) return false;
    out = make_tuple(heap_, {item, of_});
    return true;
  }

 private:
  Heap& heap_;
  Value of_;
};

}  // namespace

bool is_iterable(const Value& value) { return has_length(value) || value.is(Kind::iterator); }

Value iterate(Heap& heap, const Value& value) {
  switch (value.kind()) {
    case Kind::iterator:
      return value;
    case Kind::string:
      return Value(new CharacterIterator(heap, value, false));
    case Kind::list:
      return Value(new IndexIterator(heap, value, "list_iterator", false));
    case Kind::tuple:
      return Value(new IndexIterator(heap, value, "tuple_iterator", false));
    case Kind::dict:
    case Kind::view:
      return Value(new IndexIterator(heap, value, "dict_keyiterator", false));
    case Kind::range:
      return Value(new IndexIterator(heap, value, "range_iterator", false));
    case Kind::undefined:
      return Value(new NoItems(heap));
    case Kind::loop:
      return Value(new LoopIterator(heap, value));
    default:
      fail_value("'" + std::string(type_name(value)) + "' object is not iterable");
  }
}

Value iterate_reversed(Heap& heap, const Value& value) {
  switch (value.kind()) {
    case Kind::string:
      return Value(new CharacterIterator(heap, value, true));
    case Kind::list:
      return Value(new IndexIterator(heap, value, "list_reverseiterator", true));
    case Kind::tuple:
      return Value(new IndexIterator(heap, value, "reversed", true));
    case Kind::dict:
    case Kind::view:
      return Value(new IndexIterator(heap, value, "dict_reversekeyiterator", true));
    case Kind::range:
      return Value(new IndexIterator(heap, value, "range_iterator", true));
    case Kind::undefined:
      return Value(new NoItems(heap));
    default:
      fail_value("'" + std::string(type_name(value)) + "' object is not reversible");
  }
}

std::vector<Value> to_vector(Heap& heap, const Value& value) {
  if (value.is(Kind::list) || value.is(Kind::tuple)) {
    heap.copies(value.as<Sequence>().items.size() * sizeof(Value));
    return value.as<Sequence>().items;
  }
  std::vector<Value> out;
  const Value iterator = iterate(heap, value);
  for (Value item; iterator.as<Iterator>().next(item);) {
    heap.work(1);
    out.push_back(item);
  }
  return out;
}

}  // namespace nemotron::jinja
