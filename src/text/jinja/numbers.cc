// Numbers in text: blanks around, signs, underscores between digits, digits of any script.

#include "text/jinja/numbers.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

// In ASCII, without white space at the ends; empty where a character can belong to no number.
std::string plain(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (is_space(c))
      out += ' ';
    else if (c < 0x80)
      out += static_cast<char>(c);
    else if (is_decimal(c))
      out += static_cast<char>('0' + decimal_value(c));
    else
      return "";
  }
  const size_t begin = std::min(out.find_first_not_of(' '), out.size());
  return out.substr(begin, out.find_last_not_of(' ') + 1 - begin);
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

}  // namespace

std::optional<BigInt> parse_integer(std::string_view text, int64_t base) {
  const std::string s = plain(text);
  size_t at = 0;
  const bool negative = at < s.size() && s[at] == '-';
  if (at < s.size() && (s[at] == '-' || s[at] == '+')) ++at;
  const char prefix = at + 1 < s.size() && s[at] == '0' ? static_cast<char>(s[at + 1] | 0x20) : '\0';
  const int64_t named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
  bool zeros_only = false;
  if (named && (base == 0 || base == named)) {
    at += 2;
    base = named;
    if (at < s.size() && s[at] == '_') ++at;
  } else if (base == 0) {
    base = 10;
    zeros_only = at < s.size() && s[at] == '0';
  }
  std::string digits;
  for (bool underscore = true; at < s.size(); ++at) {
    if (s[at] == '_' && !underscore && at + 1 < s.size()) {
      underscore = true;
      continue;
    }
    if (digit_value(s[at]) >= base) return std::nullopt;
    underscore = false;
    digits += s[at];
  }
  if (digits.empty() || digits.size() > 4300) return std::nullopt;
  if (zeros_only && digits.find_first_not_of('0') != digits.npos) return std::nullopt;
  const BigInt value = BigInt::parse(digits, static_cast<unsigned>(base));
  return negative ? -value : value;
}

std::optional<double> parse_real(std::string_view text) {
  const std::string s = plain(text);
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '_') {
      out += s[i];
    } else if (i == 0 || i + 1 >= s.size() || !std::isdigit(static_cast<unsigned char>(s[i - 1])) ||
               !std::isdigit(static_cast<unsigned char>(s[i + 1]))) {
      return std::nullopt;
    }
  }
  // strtod knows more than Python: hexadecimal numbers and nan(…).
  std::string word = out.substr(std::min(out.find_first_not_of("+-"), out.size()));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  const bool named = word == "inf" || word == "infinity" || word == "nan";
  if (out.empty() || (!named && out.find_first_not_of("0123456789+-.eE") != out.npos)) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(out.c_str(), &end);
  return end == out.c_str() + out.size() ? std::optional<double>(value) : std::nullopt;
}

}  // namespace nemotron::jinja
