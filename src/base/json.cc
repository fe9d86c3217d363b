// Json: simdjson's document copied into values that own themselves, and the writer.

#include "base/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"

namespace nemotron {
namespace {

[[noreturn]] void wrong_kind(const char* expected, const Json& found) {
  throw Error({.what = "wrong kind of JSON value", .expected = expected, .found = found.kind()});
}

// simdjson follows the JSON standard; Python's json also writes NaN, Infinity and -Infinity. Where a text has them, it
// is parsed once more with each in quotes after a DEL, and with one more DEL in front of every string that starts with
// one, so that no string of the file is taken for a constant.
struct Constant {
  std::string_view word;
  double value;
};
constexpr Constant kConstants[] = {{"NaN", std::numeric_limits<double>::quiet_NaN()},
                                   {"Infinity", std::numeric_limits<double>::infinity()},
                                   {"-Infinity", -std::numeric_limits<double>::infinity()}};
constexpr char kDel = '\x7f';

bool starts_with_del(std::string_view s) {
  return s.starts_with(kDel) || s.starts_with("\\u007f") || s.starts_with("\\u007F");
}

std::string quote_constants(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 64);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size()) out += text[i++];
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
      if (starts_with_del(text.substr(i + 1))) {
        out += {c, kDel};
        ++i;
        continue;
      }
    } else {
      const auto constant = std::find_if(std::begin(kConstants), std::end(kConstants),
                                         [&](const Constant& k) { return text.substr(i).starts_with(k.word); });
      if (constant != std::end(kConstants)) {
        out += {'"', kDel};
        out.append(constant->word).append("\"");
        i += constant->word.size();
        continue;
      }
    }
    out += text[i++];
  }
  return out;
}

// Copies a simdjson document into values of our own, depth limited by the parser.
struct Copier {
  bool quoted_constants;

  Json value(const simdjson::dom::element& element) const {
    using simdjson::dom::element_type;
    switch (element.type()) {
      case element_type::NULL_VALUE:
        return {};
      case element_type::BOOL:
        return Json(bool(element.get_bool().value_unsafe()));
      case element_type::INT64:
        return Json(int64_t(element.get_int64().value_unsafe()));
      case element_type::UINT64:
        return Json(uint64_t(element.get_uint64().value_unsafe()));
      case element_type::DOUBLE:
        return Json(double(element.get_double().value_unsafe()));
      case element_type::STRING:
        return string(element.get_string().value_unsafe());
      case element_type::ARRAY:
        return array(element.get_array().value_unsafe());
      case element_type::OBJECT:
        return object(element.get_object().value_unsafe());
    }
    return {};
  }

 private:
  Json string(std::string_view s) const {
    if (!quoted_constants || !s.starts_with(kDel)) return Json(s);
    s.remove_prefix(1);
    if (s.starts_with(kDel)) return Json(s);
    for (const Constant& constant : kConstants)
      if (s == constant.word) return Json(constant.value);
    return Json(s);
  }

  Json array(const simdjson::dom::array& array) const {
    Json::Array out;
    out.reserve(array.size());
    for (const auto& item : array) out.push_back(value(item));
    return Json(std::move(out));
  }

  Json object(const simdjson::dom::object& object) const {
    Json::Object out;
    out.reserve(object.size());
    std::unordered_map<std::string_view, size_t> seen;  // views into the document, which outlives this loop
    seen.reserve(object.size());
    for (const auto& [name, item] : object) {
      const std::string_view key = this->key(name);
      const auto [where, is_new] = seen.try_emplace(key, out.size());
      if (is_new)
        out.emplace_back(std::string(key), value(item));
      else
        out[where->second].second = value(item);
    }
    return Json(std::move(out));
  }

  std::string_view key(std::string_view name) const {
    if (!quoted_constants || !name.starts_with(kDel)) return name;
    name.remove_prefix(1);
    if (name.starts_with(kDel)) return name;
    throw Error({.what = "malformed JSON: a key is not a string", .found = std::string(name)});
  }
};

void append_quoted(std::string& out, std::string_view text);

void append(std::string& out, const Json& value) {
  if (value.is_null())
    out += "null";
  else if (value.is_bool())
    out += value.boolean() ? "true" : "false";
  else if (value.is_int())
    out += fmt::format_int(value.integer()).str();
  else if (value.is_uint())
    out += fmt::format_int(value.unsigned_integer()).str();
  else if (value.is_double()) {
    const double d = value.number();
    out += std::isnan(d) ? "NaN" : std::isinf(d) ? (d > 0 ? "Infinity" : "-Infinity") : python_float(d);
  } else if (value.is_spelled())
    out += value.spelled();
  else if (value.is_string())
    append_quoted(out, value.string());
  else if (value.is_array()) {
    out += '[';
    for (const char* comma = ""; const Json& item : value.array()) {
      out += comma;
      append(out, item);
      comma = ", ";
    }
    out += ']';
  } else {
    out += '{';
    for (const char* comma = ""; const auto& [key, item] : value.object()) {
      out += comma;
      append_quoted(out, key);
      out += ": ";
      append(out, item);
      comma = ", ";
    }
    out += '}';
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\')
      out += {'\\', char(c)}, ++i;
    else if (c == '\n')
      out += "\\n", ++i;
    else if (c == '\r')
      out += "\\r", ++i;
    else if (c == '\t')
      out += "\\t", ++i;
    else if (c == '\b')
      out += "\\b", ++i;
    else if (c == '\f')
      out += "\\f", ++i;
    else if (c < 0x20)
      out += fmt::format("\\u{:04x}", unsigned(c)), ++i;
    else if (c < 0x80)
      out += char(c), ++i;
    else {
      const Utf8 next = decode_utf8(text.substr(i));
      if (next.kind == Utf8::kComplete)
        out += text.substr(i, next.length);
      else
        out += kReplacementUtf8;
      i += next.length;
    }
  }
  out += '"';
}

}  // namespace

Json::Json(uint64_t u) {
  if (u <= uint64_t(std::numeric_limits<int64_t>::max()))
    value_ = int64_t(u);
  else
    value_ = u;
}

bool Json::boolean() const {
  if (const auto* v = std::get_if<bool>(&value_)) return *v;
  wrong_kind("boolean", *this);
}

int64_t Json::integer() const {
  if (const auto* v = std::get_if<int64_t>(&value_)) return *v;
  wrong_kind("integer", *this);
}

uint64_t Json::unsigned_integer() const {
  if (const auto* v = std::get_if<uint64_t>(&value_)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value_); v && *v >= 0) return uint64_t(*v);
  wrong_kind("integer that is not negative", *this);
}

double Json::number() const {
  if (const auto* v = std::get_if<double>(&value_)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value_)) return double(*v);
  if (const auto* v = std::get_if<uint64_t>(&value_)) return double(*v);
  if (const auto* v = std::get_if<Spelled>(&value_)) return std::strtod(v->digits.c_str(), nullptr);
  wrong_kind("number", *this);
}

const std::string& Json::spelled() const {
  if (const auto* v = std::get_if<Spelled>(&value_)) return v->digits;
  wrong_kind("number beyond 64 bits and a double", *this);
}

const std::string& Json::string() const {
  if (const auto* v = std::get_if<std::string>(&value_)) return *v;
  wrong_kind("string", *this);
}

const Json::Array& Json::array() const {
  if (const auto* v = std::get_if<Array>(&value_)) return *v;
  wrong_kind("array", *this);
}

Json::Array& Json::array() { return const_cast<Array&>(std::as_const(*this).array()); }

const Json::Object& Json::object() const {
  if (const auto* v = std::get_if<Object>(&value_)) return *v;
  wrong_kind("object", *this);
}

Json::Object& Json::object() { return const_cast<Object&>(std::as_const(*this).object()); }

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [name, value] : object())
    if (name == key) return &value;
  return nullptr;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object{};
  for (auto& [name, old] : object()) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  object().emplace_back(std::string(key), std::move(value));
  return *this;
}

const char* Json::kind() const {
  static constexpr const char* names[] = {"null",   "boolean", "integer", "integer", "number",
                                          "string", "array",   "object",  "number"};
  return names[value_.index()];
}

std::string Json::dump() const {
  std::string out;
  append(out, *this);
  return out;
}

Json parse_json(std::string_view text, const std::string& where, size_t max_depth) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  auto status = parser.allocate(std::max<size_t>(text.size(), 1), max_depth);
  if (!status) status = parser.parse(text.data(), text.size()).get(root);
  std::string rewritten;
  const bool standard = !status;
  if (status && status != simdjson::DEPTH_ERROR && text.find_first_of("NI") != text.npos) {
    rewritten = quote_constants(text);
    status = parser.parse(rewritten).get(root);
  }
  if (status) {
    throw Error({.what = status == simdjson::DEPTH_ERROR
                             ? fmt::format("JSON is nested deeper than {} levels", max_depth)
                             : fmt::format("malformed JSON: {}", simdjson::error_message(status)),
                 .where = where,
                 .hint = "the file may be cut short or damaged; fetch it again"});
  }
  return Copier{.quoted_constants = !standard}.value(root);
}

std::string json_quote(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

// Python prints the shortest digits that read back equal, with an exponent when it is below -4 or at least 16.
std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  const int exponent = [&] {
    const std::string shortest = fmt::format("{}", std::abs(value));
    const size_t e = shortest.find('e');
    if (e != shortest.npos) return std::stoi(shortest.substr(e + 1));
    const size_t first = shortest.find_first_of("123456789"), dot = std::min(shortest.find('.'), shortest.size());
    return first < dot ? int(dot - first) - 1 : int(dot) - int(first);
  }();
  std::string digits = fmt::format("{}", std::abs(value));
  if (const size_t e = digits.find('e'); e != digits.npos) digits.resize(e);
  std::erase(digits, '.');
  digits.erase(0, digits.find_first_not_of('0'));
  if (const size_t last = digits.find_last_not_of('0'); last != digits.npos) digits.resize(last + 1);
  const char* sign = value < 0 ? "-" : "";
  const int count = int(digits.size());
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}{}{}{}e{}{:02}", sign, digits.substr(0, 1), count > 1 ? "." : "", digits.substr(1),
                       exponent < 0 ? "-" : "+", std::abs(exponent));
  }
  if (exponent < 0) return fmt::format("{}0.{}{}", sign, std::string(size_t(-exponent - 1), '0'), digits);
  if (count <= exponent + 1)
    return fmt::format("{}{}{}.0", sign, digits, std::string(size_t(exponent + 1 - count), '0'));
  return fmt::format("{}{}.{}", sign, digits.substr(0, size_t(exponent) + 1), digits.substr(size_t(exponent) + 1));
}

}  // namespace nemotron
