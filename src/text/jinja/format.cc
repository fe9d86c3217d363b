// format(): parsing of the specification, then strings, integers and floats.

#include "text/jinja/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja/failure.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

struct Spec {
  std::string fill = " ";
  char align = 0;
  char sign = '-';
  bool no_negative_zero = false, alternate = false, zero = false;
  size_t width = 0;
  char grouping = 0;
  int precision = -1;
  char type = 0;
};

constexpr size_t kMaxWidth = 1'000'000'000;

size_t parse_number(std::string_view spec, size_t& at) {
  size_t value = 0;
  for (; at < spec.size() && spec[at] >= '0' && spec[at] <= '9'; ++at) {
    value = value * 10 + static_cast<size_t>(spec[at] - '0');
    if (value > kMaxWidth) fail_value("Too many decimal digits in format string");
  }
  return value;
}

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

Spec parse_spec(std::string_view spec, const Value& value) {
  Spec out;
  size_t at = 0;
  size_t behind_fill = 0;
  if (!spec.empty()) next_code_point(spec, behind_fill);
  if (behind_fill < spec.size() && is_align(spec[behind_fill])) {
    out.fill = spec.substr(0, behind_fill);
    out.align = spec[behind_fill];
    at = behind_fill + 1;
  } else if (!spec.empty() && is_align(spec[0])) {
    out.align = spec[at++];
  }
  const auto take = [&](char c) { return at < spec.size() && spec[at] == c ? (++at, true) : false; };
  for (const char sign : {'+', '-', ' '}) {
    if (take(sign)) {
      out.sign = sign;
      break;
    }
  }
  out.no_negative_zero = take('z');
  out.alternate = take('#');
  if (take('0')) {
    out.zero = true;
    if (behind_fill == 0 || out.fill == " ") out.fill = "0";
    if (!out.align && !value.is(Kind::string)) out.align = '=';
  }
  out.width = parse_number(spec, at);
  if (take(','))
    out.grouping = ',';
  else if (take('_'))
    out.grouping = '_';
  if (take('.')) {
    const size_t digits = at;
    out.precision = static_cast<int>(parse_number(spec, at));
    if (at == digits) fail_value("Format specifier missing precision");
  }
  if (at < spec.size()) out.type = spec[at++];
  if (at != spec.size()) {
    fail_value("Invalid format specifier '" + std::string(spec) + "' for object of type '" + type_name(value) + "'");
  }
  return out;
}

[[noreturn]] void unknown_code(const Spec& spec, const Value& value) {
  fail_value("Unknown format code '" + std::string(1, spec.type) + "' for object of type '" + type_name(value) + "'");
}

// Separators into the leading run of digits of `text`, which is first filled with zeros to `min_width` in all.
std::string grouped(const std::string& text, char separator, size_t group, size_t min_width) {
  const char* digits = group == 3 ? "0123456789" : "0123456789abcdefABCDEF";  // an exponent ends a decimal run
  const std::string rest = text.substr(std::min(text.find_first_not_of(digits), text.size()));
  const size_t run = text.size() - rest.size();
  std::string out;  // backwards
  for (size_t count = 0; count < run || out.size() + rest.size() < min_width; ++count) {
    if (count && count % group == 0) out += separator;
    out += count < run ? text[run - 1 - count] : '0';
  }
  std::reverse(out.begin(), out.end());
  return out + rest;
}

// Sign, prefix, digits (with an exponent or fraction behind them) into the field.
std::string place_number(Heap& heap, const Spec& spec, bool negative, std::string prefix, std::string digits,
                         size_t group) {
  const char* sign = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  prefix.insert(0, sign);
  const char align = spec.align ? spec.align : '>';
  heap.allow(spec.width);
  const bool zeros_grouped = spec.grouping && spec.fill == "0" && align == '=';
  if (spec.grouping) {
    const size_t left = zeros_grouped && spec.width > prefix.size() ? spec.width - prefix.size() : 0;
    digits = grouped(digits, spec.grouping, group, left);
  }
  return padded(heap, prefix + digits, spec.width, spec.fill, align, prefix.size());
}

std::string format_text(Heap& heap, const Spec& spec, const Value& value) {
  if (spec.type && spec.type != 's') unknown_code(spec, value);
  if (spec.sign != '-') fail_value("Sign not allowed in string format specifier");
  if (spec.alternate) fail_value("Alternate form (#) not allowed in string format specifier");
  if (spec.align == '=') fail_value("'=' alignment not allowed in string format specifier");
  if (spec.grouping) fail_value(std::string("Cannot specify '") + spec.grouping + "' with 's'.");
  std::string text = text_of(value);
  if (spec.precision >= 0) text.resize(skip_code_points(text, 0, static_cast<size_t>(spec.precision)));
  return padded(heap, std::move(text), spec.width, spec.fill, spec.align ? spec.align : '<');
}

// No type letter but a precision: as 'g', but an exponent one digit earlier, and always a fraction.
std::string format_short(double magnitude, int precision) {
  std::string digits = format_real(magnitude, 'e', precision - 1, false);
  const size_t e = digits.find('e');
  if (e == digits.npos) return digits;  // inf or nan
  const int exponent = magnitude == 0 ? 0 : std::atoi(digits.c_str() + e + 1);
  if (exponent < -4 || (exponent >= precision - 1 && magnitude != 0)) {
    std::string mantissa = digits.substr(0, e);
    if (mantissa.find('.') != mantissa.npos) mantissa.erase(mantissa.find_last_not_of("0") + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
    return mantissa + digits.substr(e);
  }
  digits = format_real(magnitude, 'g', precision, false);
  return digits.find('.') == digits.npos ? digits + ".0" : digits;
}

std::string format_double(Heap& heap, const Spec& spec, double value) {
  if (spec.precision > 100'000) fail_value("precision too big");
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  heap.work(10 + static_cast<size_t>(precision));
  const double magnitude = std::fabs(value);
  std::string digits;
  if (spec.type == 0)
    digits = spec.precision < 0 ? repr_float(magnitude) : format_short(magnitude, std::max(precision, 1));
  else if (spec.type == '%')
    digits = format_real(magnitude * 100, 'f', precision, spec.alternate) + "%";
  else
    digits = format_real(magnitude, spec.type == 'n' ? 'g' : spec.type, precision, spec.alternate);
  bool negative = std::signbit(value) && !std::isnan(value);
  if (spec.no_negative_zero && digits.find_first_of("123456789ni") == digits.npos) negative = false;
  return place_number(heap, spec, negative, "", std::move(digits), 3);
}

std::string format_integer(Heap& heap, const Spec& spec, const Value& value) {
  if (spec.type && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos) {
    return format_double(heap, spec, to_real(value));
  }
  if (spec.precision >= 0) fail_value("Precision not allowed in integer format specifier");
  const BigInt big = to_big(value);
  if (spec.type == 'c') {
    const auto code = big.int64();
    if (!code || *code < 0 || *code > 0x10FFFF) fail_value("%c arg not in range(0x110000)");
    std::string text;
    append_utf8(text, static_cast<char32_t>(*code));
    return padded(heap, std::move(text), spec.width, spec.fill, spec.align ? spec.align : '<');
  }
  unsigned base = 10;
  std::string prefix;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      break;
    case 'b':
      base = 2, prefix = "0b";
      break;
    case 'o':
      base = 8, prefix = "0o";
      break;
    case 'x':
      base = 16, prefix = "0x";
      break;
    case 'X':
      base = 16, prefix = "0X";
      break;
    default:
      unknown_code(spec, value);
  }
  if (!spec.alternate) prefix.clear();
  std::string digits = (big.is_negative() ? -big : big).text(base);
  if (spec.type == 'X')
    std::transform(digits.begin(), digits.end(), digits.begin(), [](char c) { return std::toupper(c); });
  return place_number(heap, spec, big.is_negative(), prefix, std::move(digits), base == 10 ? 3 : 4);
}

}  // namespace

std::string format_real(double value, char type, int precision, bool alternate) {
  const bool capital = type == 'E' || type == 'F' || type == 'G';
  if (!std::isfinite(value)) {
    const char* text = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return capital ? std::isnan(value) ? "NAN" : value > 0 ? "INF" : "-INF" : text;
  }
  const std::string pattern = std::string(alternate ? "%#.*" : "%.*") + type;
  std::string out(static_cast<size_t>(precision) + 330, '\0');
  const int size = std::snprintf(out.data(), out.size(), pattern.c_str(), precision, value);
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string padded(Heap& heap, std::string text, size_t width, std::string_view fill, char align, size_t lead) {
  const size_t length = code_point_count(text);
  if (length >= width) return text;
  const size_t missing = width - length;
  if (missing > kMaxWidth) heap.allow(SIZE_MAX);
  heap.allow(missing * fill.size() + text.size());
  heap.copies(missing * fill.size());
  const auto filling = [&](size_t count) {
    std::string out;
    out.reserve(count * fill.size());
    for (; count > 0; --count) out += fill;
    return out;
  };
  switch (align) {
    case '<':
      return text + filling(missing);
    case '^':
      return filling(missing / 2) + text + filling(missing - missing / 2);
    case '=':
      return text.substr(0, lead) + filling(missing) + text.substr(lead);
    default:
      return filling(missing) + text;
  }
}

std::string format_value(Heap& heap, const Value& value, std::string_view spec) {
  if (spec.empty()) return str(value);
  if (value.is(Kind::string)) return format_text(heap, parse_spec(spec, value), value);
  if (value.is_integral()) return format_integer(heap, parse_spec(spec, value), value);
  if (value.is(Kind::real)) {
    const Spec parsed = parse_spec(spec, value);
    if (parsed.type && std::string_view("eEfFgGn%").find(parsed.type) == std::string_view::npos) {
      unknown_code(parsed, value);
    }
    return format_double(heap, parsed, value.real());
  }
  fail_value("unsupported format string passed to " + std::string(type_name(value)) + ".__format__");
}

}  // namespace nemotron::jinja
