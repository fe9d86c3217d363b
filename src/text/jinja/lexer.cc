// The lexer: data up to the next tag, then the tokens of the tag, until the source ends.

#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

size_t end_of_spaces(std::string_view s, size_t at) {
  while (at < s.size()) {
    size_t next = at;
    if (!is_space(next_code_point(s, next))) break;
    at = next;
  }
  return at;
}

size_t start_of_trailing_spaces(std::string_view s, size_t end) {
  while (end > 0) {
    size_t previous = end;
    if (!is_space(previous_code_point(s, previous))) break;
    end = previous;
  }
  return end;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) data();
    push(TokenKind::end, at_);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string message, size_t at) const {
    throw ParseFailure{std::move(message), static_cast<uint32_t>(at)};
  }

  [[noreturn]] void unexpected_character(const std::string& shown) const {
    fail("unexpected char " + shown + " at " + std::to_string(code_point_count(source_.substr(0, at_))), at_);
  }

  bool looking_at(std::string_view text, size_t at) const { return source_.substr(at, text.size()) == text; }

  void push(TokenKind kind, size_t offset, std::string text = {}) {
    tokens_.push_back({kind, static_cast<uint32_t>(offset), std::move(text)});
  }

  void push_data(size_t begin, size_t end) {
    if (begin < end) push(TokenKind::data, begin, std::string(source_.substr(begin, end - begin)));
  }

  // Where the data before a tag ends: `-` strips all white space, and a block or comment alone on its line takes the
  // line's indentation with it unless it says `+`.
  size_t data_end(size_t begin, size_t tag, char sign, bool is_variable) const {
    const std::string_view text = source_.substr(begin, tag - begin);
    if (sign == '-') return begin + start_of_trailing_spaces(text, text.size());
    if (sign == '+' || is_variable) return tag;
    const size_t newline = text.rfind('\n');
    const size_t line = newline == text.npos ? 0 : newline + 1;
    if (line == 0 && !line_starting_) return tag;
    return end_of_spaces(text, line) == text.size() ? begin + line : tag;
  }

  char sign_at(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  void move_to(size_t end) {
    line_starting_ = end > 0 && source_[end - 1] == '\n';
    at_ = end;
  }

  void data() {
    const size_t begin = at_;
    size_t tag = begin;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 >= source_.size()) {
        push_data(begin, source_.size());
        at_ = source_.size();
        return;
      }
      const char c = source_[tag + 1];
      if (c == '%' || c == '{' || c == '#') break;
    }
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    push_data(begin, data_end(begin, tag, sign, kind == '{'));
    const size_t inside = tag + 2 + (sign != 0);
    if (kind == '#') {
      comment(tag, inside);
    } else if (kind == '{') {
      push(TokenKind::variable_begin, tag);
      move_to(inside);
      tag_tokens(TokenKind::variable_end, '}');
    } else if (const size_t end = raw_begin(inside)) {
      move_to(end);
      raw(tag);
    } else {
      push(TokenKind::block_begin, tag);
      move_to(inside);
      tag_tokens(TokenKind::block_end, '%');
    }
  }

  // Behind the closing delimiter `c}` at `at`, where it stands there, with the white space that goes with it; else 0.
  size_t closing(size_t at, char c, bool trims_newline) const {
    const char delimiter[] = {c, '}'};
    const std::string_view end(delimiter, 2);
    if (looking_at(end, at)) {
      at += 2;
      return trims_newline && at < source_.size() && source_[at] == '\n' ? at + 1 : at;
    }
    if (at >= source_.size() || !looking_at(end, at + 1)) return 0;
    if (source_[at] == '-') return end_of_spaces(source_, at + 3);
    return source_[at] == '+' && trims_newline ? at + 3 : 0;
  }

  void comment(size_t tag, size_t inside) {
    // A sign directly behind `{#` belongs to the opening, but may be all there is before `#}`.
    for (size_t at = inside; at < source_.size(); ++at) {
      if (const size_t end = closing(at, '#', true)) {
        move_to(end);
        return;
      }
    }
    if (inside < source_.size()) fail("Missing end of comment tag", tag);
    at_ = source_.size();
  }

  // Behind `raw %}`, or 0 where the block is another.
  size_t raw_begin(size_t at) const {
    at = end_of_spaces(source_, at);
    if (!looking_at("raw", at)) return 0;
    at = end_of_spaces(source_, at + 3);
    if (looking_at("-%}", at)) return end_of_spaces(source_, at + 3);
    return looking_at("%}", at) ? at + 2 : 0;
  }

  void raw(size_t tag) {
    const size_t begin = at_;
    for (size_t at = source_.find("{%", begin); at != source_.npos; at = source_.find("{%", at + 1)) {
      const char sign = sign_at(at + 2);
      size_t end = end_of_spaces(source_, at + 2 + (sign != 0));
      if (!looking_at("endraw", end)) continue;
      end = closing(end_of_spaces(source_, end + 6), '%', true);
      if (!end) continue;
      push_data(begin, data_end(begin, at, sign, false));
      move_to(end);
      return;
    }
    if (begin < source_.size()) fail("Missing end of raw directive", tag);
  }

  void tag_tokens(TokenKind end_kind, char end_char) {
    std::string open;  // brackets to be closed, during which the tag cannot end
    while (at_ < source_.size()) {
      if (open.empty()) {
        if (const size_t end = closing(at_, end_char, end_kind == TokenKind::block_end)) {
          push(end_kind, at_);
          move_to(end);
          return;
        }
      }
      const size_t behind = end_of_spaces(source_, at_);
      if (behind > at_)
        move_to(behind);
      else
        token(open);
    }
  }

  void token(std::string& open) {
    if (is_ascii_digit(source_[at_])) return number();
    if (source_[at_] == '\'' || source_[at_] == '"') return string();
    size_t end = at_;
    const char32_t first = next_code_point(source_, end);
    if (is_identifier_part(first)) return name();
    op(open);
  }

  // digits (_ digits)*; the end, or `at` where there is none.
  template <class IsDigit>
  size_t digits(size_t at, const IsDigit& is_digit) const {
    for (size_t end = at; end < source_.size();) {
      if (is_digit(source_[end]))
        at = ++end;
      else if (source_[end] == '_' && end == at && end > 0 && is_digit(source_[end - 1]))
        ++end;
      else
        break;
    }
    return at;
  }

  static std::string without_underscores(std::string_view text) {
    std::string out(text);
    out.erase(std::remove(out.begin(), out.end(), '_'), out.end());
    return out;
  }

  bool real_number() {
    if (at_ > 0 && source_[at_ - 1] == '.') return false;
    const size_t whole = digits(at_, is_ascii_digit);
    size_t end = whole;
    if (end < source_.size() && source_[end] == '.') {
      const size_t fraction = digits(end + 1, is_ascii_digit);
      if (fraction > end + 1) end = fraction;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      const size_t sign = end + 1 + (end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+'));
      const size_t exponent = digits(sign, is_ascii_digit);
      if (exponent > sign) end = exponent;
    }
    if (end == whole) return false;
    push(TokenKind::real, at_);
    tokens_.back().number = std::strtod(without_underscores(source_.substr(at_, end - at_)).c_str(), nullptr);
    move_to(end);
    return true;
  }

  void number() {
    if (real_number()) return;
    unsigned base = 10;
    size_t begin = at_;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const char c = static_cast<char>(source_[at_ + 1] | 0x20);
      base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
    }
    const auto is_digit = [&](char c) {
      if (base == 16) return is_ascii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      return c >= '0' && c < static_cast<char>('0' + base);
    };
    size_t end = at_;
    if (base != 10) {
      begin = at_ + 2 + (at_ + 2 < source_.size() && source_[at_ + 2] == '_');
      end = digits(begin, is_digit);
      if (end == begin) base = 10, begin = at_;  // only the zero
    }
    if (base == 10) {
      // A number that starts with 0 is nothing but zeros.
      end = source_[at_] == '0' ? digits(at_, [](char c) { return c == '0'; }) : digits(at_, is_ascii_digit);
    }
    push(TokenKind::integer, at_);
    const std::string text = without_underscores(source_.substr(begin, end - begin));
    if (text.size() > 4300) fail("an integer exceeds 4300 digits", at_);
    BigInt value;
    try {
      value = BigInt::parse(text, base);
    } catch (const Failure& f) {
      fail(f.message, at_);
    }
    if (const auto small = value.int64())
      tokens_.back().number = *small;
    else
      tokens_.back().number = std::move(value);
    move_to(end);
  }

  void name() {
    const size_t begin = at_;
    size_t end = at_;
    const char32_t first = next_code_point(source_, end);
    if (!is_identifier_start(first)) fail("Invalid character in identifier", begin);
    while (end < source_.size()) {
      size_t next = end;
      if (!is_identifier_part(next_code_point(source_, next))) break;
      end = next;
    }
    push(TokenKind::name, begin, std::string(source_.substr(begin, end - begin)));
    move_to(end);
  }

  void string() {
    const char quote = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) {
      // The quote of the message is Python's repr of it.
      unexpected_character(quote == '"' ? "'\"'" : "\"'\"");
    }
    push(TokenKind::string, at_, unescape(source_.substr(at_ + 1, end - at_ - 1)));
    move_to(end + 1);
  }

  char32_t hex_escape(std::string_view s, size_t& at, size_t count) const {
    char32_t value = 0;
    const char* begin = s.data() + at;
    const size_t available = std::min(count, s.size() - at);
    uint32_t parsed = 0;
    const auto [end, error] = std::from_chars(begin, begin + available, parsed, 16);
    if (available < count || error != std::errc() || end != begin + count) fail("truncated escape in a string", at_);
    value = parsed;
    if (value > 0x10FFFF) fail("illegal Unicode character", at_);
    at += count;
    return value;
  }

  std::string unescape(std::string_view s) const {
    std::string out;
    for (size_t at = 0; at < s.size();) {
      if (s[at] != '\\') {
        out += s[at++];
        continue;
      }
      ++at;  // a string never ends with a lone backslash
      const char32_t c = next_code_point(s, at);
      switch (c) {
        case '\n':
          break;
        case '\\':
          out += '\\';
          break;
        case '\'':
          out += '\'';
          break;
        case '"':
          out += '"';
          break;
        case 'a':
          out += '\a';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'v':
          out += '\v';
          break;
        case 'x':
          append_utf8(out, hex_escape(s, at, 2));
          break;
        case 'u':
          append_utf8(out, hex_escape(s, at, 4));
          break;
        case 'U':
          append_utf8(out, hex_escape(s, at, 8));
          break;
        case 'N':
          fail("characters by name (\\N) are not supported in a string: write \\u", at_);
        default:
          if (c >= '0' && c <= '7') {
            char32_t value = c - '0';
            for (int i = 0; i < 2 && at < s.size() && s[at] >= '0' && s[at] <= '7'; ++i) {
              value = value * 8 + static_cast<char32_t>(s[at++] - '0');
            }
            append_utf8(out, value);
          } else if (c < 0x80) {
            (out += '\\') += static_cast<char>(c);
          } else {
            // Jinja turns a character that is not ASCII into its escape before it resolves escapes, so that behind a
            // backslash the escape itself remains.
            out += escape_of(c);
          }
      }
    }
    return out;
  }

  void op(std::string& open) {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    size_t length = 0;
    for (const std::string_view two : kTwo) {
      if (looking_at(two, at_)) length = 2;
    }
    if (!length && kOne.find(source_[at_]) != kOne.npos) length = 1;
    if (!length) {
      size_t end = at_;
      next_code_point(source_, end);
      unexpected_character("'" + std::string(source_.substr(at_, end - at_)) + "'");
    }
    const char c = source_[at_];
    if (length == 1) {
      if (c == '(')
        open += ')';
      else if (c == '[')
        open += ']';
      else if (c == '{')
        open += '}';
      else if (c == ')' || c == ']' || c == '}') {
        if (open.empty()) fail(std::string("unexpected '") + c + "'", at_);
        if (open.back() != c) fail(std::string("unexpected '") + c + "', expected '" + open.back() + "'", at_);
        open.pop_back();
      }
    }
    push(TokenKind::op, at_, std::string(source_.substr(at_, length)));
    move_to(at_ + length);
  }

  std::string_view source_;
  size_t at_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 >= source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace nemotron::jinja
