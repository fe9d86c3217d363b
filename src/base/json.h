// A JSON value with ordered keys, parsed by simdjson under limits, and written as Python's json.dumps writes it.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nemotron {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;  // in the order of the file; keys are unique once parsed (the last one wins)

  // A number that neither 64 bits nor a double hold, as the text it comes from spells it. parse_json makes none.
  struct Spelled {
    std::string digits;
    friend bool operator==(const Spelled&, const Spelled&) = default;
  };

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool b) : value_(b) {}
  Json(int i) : value_(int64_t{i}) {}
  Json(int64_t i) : value_(i) {}
  Json(uint64_t u);  // kept as int64 where it fits
  Json(double d) : value_(d) {}
  Json(const char* s) : value_(std::string(s)) {}
  Json(std::string_view s) : value_(std::string(s)) {}
  Json(std::string s) : value_(std::move(s)) {}
  Json(Array a) : value_(std::move(a)) {}
  Json(Object o) : value_(std::move(o)) {}
  Json(Spelled s) : value_(std::move(s)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_uint() const { return std::holds_alternative<uint64_t>(value_); }  // 2^63 .. 2^64-1 only
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_spelled() const { return std::holds_alternative<Spelled>(value_); }
  bool is_number() const { return is_int() || is_uint() || is_double() || is_spelled(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  // These throw Error when the value is of another kind; `number` accepts every kind of number.
  bool boolean() const;
  int64_t integer() const;
  uint64_t unsigned_integer() const;
  double number() const;
  const std::string& spelled() const;
  const std::string& string() const;
  const Array& array() const;
  Array& array();
  const Object& object() const;
  Object& object();

  // The member of an object, or nullptr (also when this is no object). Linear in the number of keys.
  const Json* find(std::string_view key) const;
  // Replaces or appends a member; a null value becomes an object first.
  Json& set(std::string_view key, Json value);

  // "null", "boolean", "integer", "number", "string", "array" or "object".
  const char* kind() const;

  // Compact: separators ", " and ": ", no ASCII escaping, invalid UTF-8 replaced by U+FFFD, doubles in their shortest
  // form that reads back equal and as Python prints them (1.0, 1e-07; NaN, Infinity).
  std::string dump() const;

  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object, Spelled> value_;
};

// Parses a whole text. Bare NaN, Infinity and -Infinity, which Python's json writes, are read as those doubles.
// Throws Error naming `where` for malformed text, invalid UTF-8, or nesting deeper than `max_depth`.
Json parse_json(std::string_view text, const std::string& where, size_t max_depth = 256);

// `text` as a JSON string literal with its quotes; invalid UTF-8 is replaced by U+FFFD.
std::string json_quote(std::string_view text);

// A double as Python's repr prints it.
std::string python_float(double value);

}  // namespace nemotron
