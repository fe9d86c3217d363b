// One recursive reader for both spellings of JSON. simdjson does not do here: it has no big integers, refuses escapes
// that Python lets pass, and knows nothing of Python's spelling.

#include "text/python_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "base/utf8.h"

namespace nemotron {
namespace {

constexpr int kMaxDepth = 980;        // about where Python's own reader gives up
constexpr size_t kMaxDigits = 4'300;  // of an integer, in Python

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// A number's text: [+-]digits[.digits][e[+-]digits], digits on one side of the point at least. Where each part ends:
struct NumberShape {
  size_t integer = 0, fraction = 0, end = 0;
};

// The longest number at the start of `text`. `strict`: no plus, no leading zeros; `bare`: no digit may be missing
// beside the point. An end of 0: none.
NumberShape match_number(std::string_view text, bool strict, bool bare) {
  const auto digits = [&](size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
  };
  const auto is = [&](size_t at, std::string_view choice) {
    return at < text.size() && choice.find(text[at]) != choice.npos;
  };
  const size_t first = is(0, bare ? "-" : "+-") ? 1 : 0;
  NumberShape shape;
  shape.integer = strict && is(first, "0") ? first + 1 : digits(first);
  const bool whole = shape.integer > first;
  if (!whole && bare) return {};
  shape.fraction = shape.integer;
  if (is(shape.integer, ".")) {
    const size_t end = digits(shape.integer + 1);
    if (end > shape.integer + 1 || (whole && !bare)) shape.fraction = end;
  }
  if (shape.fraction == first) return {};
  shape.end = shape.fraction;
  if (is(shape.end, "eE")) {
    const size_t begin = shape.end + 1 + is(shape.end + 1, "+-");
    if (digits(begin) > begin) shape.end = digits(begin);
  }
  return shape;
}

// `text` is a number. Rounded to nearest; infinite where it does not fit.
double to_double(std::string_view text) {
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  (void)end;
  if (status != std::errc::result_out_of_range) return value;
  // Too large or too small: which of the two, the place of the first digit that is not zero tells.
  const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  const size_t first = mantissa.find_first_of("123456789");
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  int64_t exponent = 0;
  if (mantissa.size() < text.size()) {
    std::string_view digits = text.substr(mantissa.size() + 1);
    const bool negative = digits[0] == '-';
    if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
    for (const char digit : digits) exponent = std::min<int64_t>(exponent * 10 + (digit - '0'), int64_t{1} << 50);
    if (negative) exponent = -exponent;
  }
  exponent += int64_t(point) - int64_t(first);
  const double magnitude = exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  return text[0] == '-' ? -magnitude : magnitude;
}

// Plain digits with their sign, where 64 bits hold them.
std::optional<Json> to_integer(std::string_view text) {
  if (text[0] == '+') text.remove_prefix(1);
  int64_t small = 0;
  uint64_t large = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), small).ec == std::errc()) return Json(small);
  if (text[0] != '-' && std::from_chars(text.data(), text.data() + text.size(), large).ec == std::errc())
    return Json(large);
  return {};
}

class Reader {
 public:
  Reader(std::string_view text, bool python) : text_(text), python_(python) {}

  std::optional<Json> read() {
    Json out;
    if (!value(out, 0)) return {};
    at_ = skip();
    if (at_ != text_.size() || (surrogates_ && holds_surrogate(out))) return {};
    return out;
  }

 private:
  size_t skip() const { return std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool here(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool value(Json& out, int depth) {
    at_ = skip();
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    if (c == '[' || c == '{') return depth < kMaxDepth && (c == '[' ? array(out, depth) : object(out, depth));
    if (c == '"' || (python_ && c == '\'')) {
      std::string text;
      if (!string(text)) return false;
      out = std::move(text);
      return true;
    }
    return is_letter(c) ? word(out) : number(out);
  }

  // After an item, or the opening bracket: whether the list goes on; `failed` where something else stands here.
  bool another(char close, bool first, bool& failed) {
    at_ = skip();
    if (!first) {
      if (!here(',') && !here(close)) return failed = true, false;
      if (here(',')) {
        ++at_;
        at_ = skip();
        if (!python_ && here(close)) return failed = true, false;
      }
    }
    if (!here(close)) return true;
    ++at_;
    return false;
  }

  bool array(Json& out, int depth) {
    ++at_;
    Json::Array items;
    bool failed = false;
    while (another(']', items.empty(), failed)) {
      if (!value(items.emplace_back(), depth + 1)) return false;
    }
    out = std::move(items);
    return !failed;
  }

  bool object(Json& out, int depth) {
    ++at_;
    Json::Object members;
    std::map<std::string, size_t> seen;  // no hash: keys from outside could be chosen to collide
    bool failed = false;
    while (another('}', members.empty(), failed)) {
      std::string key;
      if (!here('"') && !(python_ && here('\''))) return false;
      if (!string(key)) return false;
      at_ = skip();
      if (!here(':')) return false;
      ++at_;
      Json item;
      if (!value(item, depth + 1)) return false;
      const auto [where, is_new] = seen.try_emplace(key, members.size());
      if (is_new)
        members.emplace_back(std::move(key), std::move(item));
      else
        members[where->second].second = std::move(item);
    }
    out = std::move(members);
    return !failed;
  }

  bool word(Json& out) {
    const size_t begin = at_;
    while (at_ < text_.size() && is_letter(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    const auto is = [&](std::string_view json, std::string_view python) {
      return word == json || (python_ && word == python);
    };
    if (is("true", "True"))
      out = true;
    else if (is("false", "False"))
      out = false;
    else if (is("null", "None"))
      out = nullptr;
    else
      return false;
    return true;
  }

  bool number(Json& out) {
    const std::string_view rest = text_.substr(at_);
    const NumberShape shape = match_number(rest, !python_, true);
    if (shape.end == 0) return false;
    const std::string_view text = rest.substr(0, shape.end);
    at_ += shape.end;
    if (python_) {
      std::optional<Json> read = read_number(text);
      if (read) out = std::move(*read);
      return read.has_value();
    }
    if (shape.integer == shape.end) {
      std::optional<Json> small = to_integer(text);
      if (!small && text.size() - (text[0] == '-') > kMaxDigits) return false;
      out = small ? std::move(*small) : Json(Json::Spelled{std::string(text)});
    } else {
      const double real = to_double(text);
      out = std::isinf(real) ? Json(Json::Spelled{std::string(text)}) : Json(real);
    }
    return true;
  }

  bool string(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) return true;
      if (python_ ? c == '\n' : (unsigned char)(c) < 0x20) return false;
      if (c != '\\')
        out += c;
      else if (!escape(out))
        return false;
    }
    return false;
  }

  bool escape(std::string& out) {
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    if (c == 'u') {
      int unit = hex();
      if (unit < 0) return false;
      char32_t code_point = char32_t(unit);
      if (!python_ && unit >= 0xD800 && unit < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
        const size_t before = at_;
        at_ += 2;
        const int low = hex();
        if (low >= 0xDC00 && low < 0xE000)
          code_point = 0x10000 + (char32_t(unit - 0xD800) << 10) + char32_t(low - 0xDC00);
        else
          at_ = before;
      }
      surrogates_ |= code_point >= 0xD800 && code_point < 0xE000;
      append_unit(out, code_point);
      return true;
    }
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    const size_t which = kNames.find(c);
    if (which == kNames.npos && !(python_ && c == '\'')) return false;
    out += which == kNames.npos ? c : kValues[which];
    return true;
  }

  int hex() {
    if (text_.size() - at_ < 4) return -1;
    int value = 0;
    for (const size_t end = at_ + 4; at_ < end; ++at_) {
      const char c = text_[at_];
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return -1;
      value = value * 16 + digit;
    }
    return value;
  }

  // A surrogate becomes the three bytes that UTF-8 would have for it, so that it is found again.
  static void append_unit(std::string& out, char32_t c) {
    if (c >= 0xD800 && c < 0xE000)
      out += {char(0xED), char(0x80 | ((c >> 6) & 0x3F)), char(0x80 | (c & 0x3F))};
    else
      append_utf8(out, c);
  }

  static bool holds_surrogate(const Json& json) {
    const auto in = [](const std::string& text) {
      for (size_t at = 0; (at = text.find('\xED', at)) != text.npos; ++at)
        if (at + 1 < text.size() && (unsigned char)(text[at + 1]) >= 0xA0) return true;
      return false;
    };
    if (json.is_string()) return in(json.string());
    if (json.is_array()) {
      for (const Json& item : json.array())
        if (holds_surrogate(item)) return true;
    }
    if (json.is_object()) {
      for (const auto& [key, item] : json.object())
        if (in(key) || holds_surrogate(item)) return true;
    }
    return false;
  }

  std::string_view text_;
  bool python_;
  size_t at_ = 0;
  bool surrogates_ = false;  // some were read
};

// Keys that differ only in bytes that are no character would be one when they are written.
bool is_utf8(std::string_view text) { return find_invalid_utf8(text) == text.size(); }

}  // namespace

std::optional<Json> read_number(std::string_view text) {
  const NumberShape shape = match_number(text, false, false);
  if (shape.end == 0 || shape.end != text.size()) return {};
  if (shape.integer == shape.end) {
    if (std::optional<Json> integer = to_integer(text)) return integer;
  }
  const double real = to_double(text);
  if (std::isinf(real)) return {};
  if (real == std::trunc(real) && std::abs(real) < 0x1p53) return Json(int64_t(real));
  return Json(real);
}

std::optional<Json> read_json(std::string_view text) {
  return is_utf8(text) ? Reader(text, false).read() : std::nullopt;
}
std::optional<Json> read_python_json(std::string_view text) {
  return is_utf8(text) ? Reader(text, true).read() : std::nullopt;
}

}  // namespace nemotron
