// Json: simdjson's document copied into values that own themselves, and the writer.

#include "base/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/error.h"

namespace nemotron {
namespace {

[[noreturn]] void wrong_kind(const char* expected, const Json& found) {
  throw Error({.what = "wrong kind of JSON value", .expected = expected, .found = found.kind()});
}

// simdjson follows the JSON standard; Python's json also writes NaN, Infinity and -Infinity. They are replaced by strings
// that no document holds by accident, and turned into doubles again while copying.
constexpr std::string_view kNan = "\x7f" "NaN", kInf = "\x7f" "Infinity", kMinusInf = "\x7f" "-Infinity";

std::string quote_python_constants(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 64);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\' && i + 1 < text.size()) out += text[i++];
      if (c == '"') in_string = false;
    } else {
      if (c == '"') in_string = true;
      bool replaced = false;
      for (const std::string_view constant : {kNan, kInf, kMinusInf}) {
        const std::string_view word = constant.substr(1);
        if (text.substr(i, word.size()) == word) {
          out.append("\"\\u007f").append(word).append("\"");
          i += word.size();
          replaced = true;
          break;
        }
      }
      if (replaced) continue;
    }
    out += text[i++];
  }
  return out;
}

Json copy(const simdjson::dom::element& element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::NULL_VALUE: return {};
    case element_type::BOOL: return Json(bool(element.get_bool().value_unsafe()));
    case element_type::INT64: return Json(int64_t(element.get_int64().value_unsafe()));
    case element_type::UINT64: return Json(uint64_t(element.get_uint64().value_unsafe()));
    case element_type::DOUBLE: return Json(double(element.get_double().value_unsafe()));
    case element_type::STRING: {
      const std::string_view s = element.get_string().value_unsafe();
      if (s == kNan) return Json(std::numeric_limits<double>::quiet_NaN());
      if (s == kInf) return Json(std::numeric_limits<double>::infinity());
      if (s == kMinusInf) return Json(-std::numeric_limits<double>::infinity());
      return Json(s);
    }
    case element_type::ARRAY: {
      Json::Array out;
      const auto array = element.get_array().value_unsafe();
      out.reserve(array.size());
      for (const auto& item : array) out.push_back(copy(item));
      return Json(std::move(out));
    }
    case element_type::OBJECT: {
      Json::Object out;
      const auto object = element.get_object().value_unsafe();
      out.reserve(object.size());
      std::unordered_map<std::string_view, size_t> seen;  // views into the document, which outlives this loop
      seen.reserve(object.size());
      for (const auto& [key, value] : object) {
        const auto [where, is_new] = seen.try_emplace(key, out.size());
        if (is_new) out.emplace_back(std::string(key), copy(value));
        else out[where->second].second = copy(value);
      }
      return Json(std::move(out));
    }
  }
  return {};
}

void append_quoted(std::string& out, std::string_view text);

void append(std::string& out, const Json& value) {
  if (value.is_null()) out += "null";
  else if (value.is_bool()) out += value.boolean() ? "true" : "false";
  else if (value.is_int()) out += fmt::format_int(value.integer()).str();
  else if (value.is_uint()) out += fmt::format_int(value.unsigned_integer()).str();
  else if (value.is_double()) {
    const double d = value.number();
    out += std::isnan(d) ? "NaN" : std::isinf(d) ? (d > 0 ? "Infinity" : "-Infinity") : python_float(d);
  } else if (value.is_string()) append_quoted(out, value.string());
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

// Length of the well-formed UTF-8 sequence at the start of s (Unicode table 3-7), or 0; `broken` is then the length of the
// maximal ill-formed part that one U+FFFD stands for.
size_t utf8_sequence(std::string_view s, size_t& broken) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const unsigned lead = byte(0);
  broken = 1;
  if (lead < 0x80) return 1;
  unsigned low = 0x80, high = 0xBF;
  size_t length = 0;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else return 0;
  for (size_t i = 1; i < length; ++i) {
    if (i >= s.size() || byte(i) < low || byte(i) > high) {
      broken = i;
      return 0;
    }
    low = 0x80, high = 0xBF;
  }
  return length;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    size_t broken = 0;
    if (c == '"' || c == '\\') out += {'\\', char(c)}, ++i;
    else if (c == '\n') out += "\\n", ++i;
    else if (c == '\r') out += "\\r", ++i;
    else if (c == '\t') out += "\\t", ++i;
    else if (c == '\b') out += "\\b", ++i;
    else if (c == '\f') out += "\\f", ++i;
    else if (c < 0x20) out += fmt::format("\\u{:04x}", unsigned(c)), ++i;
    else if (c < 0x80) out += char(c), ++i;
    else if (const size_t length = utf8_sequence(text.substr(i), broken)) {
      out.append(text, i, length);
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      i += broken;
    }
  }
  out += '"';
}

}  // namespace

Json::Json(uint64_t u) {
  if (u <= uint64_t(std::numeric_limits<int64_t>::max())) value_ = int64_t(u);
  else value_ = u;
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
  wrong_kind("number", *this);
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
  static constexpr const char* names[] = {"null", "boolean", "integer", "integer", "number", "string", "array", "object"};
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
  if (status && status != simdjson::DEPTH_ERROR && text.find_first_of("NI") != text.npos) {
    rewritten = quote_python_constants(text);
    status = parser.parse(rewritten).get(root);
  }
  if (status) {
    throw Error({.what = status == simdjson::DEPTH_ERROR
                             ? fmt::format("JSON is nested deeper than {} levels", max_depth)
                             : fmt::format("malformed JSON: {}", simdjson::error_message(status)),
                 .where = where,
                 .hint = "the file may be cut short or damaged; fetch it again"});
  }
  return copy(root);
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
  if (count <= exponent + 1) return fmt::format("{}{}{}.0", sign, digits, std::string(size_t(exponent + 1 - count), '0'));
  return fmt::format("{}{}.{}", sign, digits.substr(0, size_t(exponent) + 1), digits.substr(size_t(exponent) + 1));
}

}  // namespace nemotron
