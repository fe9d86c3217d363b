// The parser of patterns: recursive descent over code points, every construct either understood or refused.

#include "text/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

constexpr size_t kMaxLength = 1 << 14;  // the longest published pattern has some 2,500 bytes
constexpr int kMaxDepth = 100;
constexpr int kMaxCount = 10000;

PatternNode set_node(CodePoints set) { return {.kind = PatternNode::kSet, .set = std::move(set)}; }

CodePoints one(char32_t c) { return {{c, c}}; }

bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The other characters that fold to the same as an ASCII letter: its other case, ſ for s, the Kelvin sign for k.
CodePoints ignoring_case(char32_t c) {
  if (!is_ascii_letter(c)) return one(c);
  CodePoints out = {{c, c}, {c ^ 0x20, c ^ 0x20}};
  if ((c | 0x20) == 's') out = out | one(0x17F);
  if ((c | 0x20) == 'k') out = out | one(0x212A);
  return out;
}

// Outside these categories (Roman numerals, circled letters and one mark among them) no character has another case.
bool may_have_case(char32_t c) {
  switch (category_of(c)) {
    case Category::Lu:
    case Category::Ll:
    case Category::Lt:
    case Category::Lm:
    case Category::Mn:
    case Category::Nl:
    case Category::So:
      return true;
    default:
      return false;
  }
}

class Parser {
 public:
  Parser(std::string_view pattern, const std::string& where) : pattern_(pattern), where_(where) {
    for (size_t i = 0; i < pattern.size();) {
      const Utf8 next = decode_utf8(pattern.substr(i));
      text_ += next.code_point;
      i += next.length;
    }
  }

  PatternNode parse() {
    if (pattern_.size() > kMaxLength) fail("is longer than 16,384 bytes");
    PatternNode root = choice();
    if (!at_end()) fail("has a closing parenthesis without an opening one");
    refuse_late_search_start(root, true);
    return root;
  }

 private:
  struct Options {
    bool ignore_case = false;  // (?i)
    bool dot_all = false;      // (?m) in this syntax
  };

  [[noreturn]] void fail(std::string_view what) const {
    throw Error({.what = fmt::format("a regex that cannot be compiled: it {} at character {}", what, at_),
                 .where = where_,
                 .found = printable(std::string(pattern_)),
                 .hint = "tokenizers use Oniguruma's syntax; what needs memory or rare classes is not supported"});
  }

  bool at_end() const { return at_ >= text_.size(); }
  char32_t peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : U'\0'; }
  bool looking_at(std::u32string_view word) const {
    return std::u32string_view(text_).substr(at_, word.size()) == word;
  }
  bool accept(std::u32string_view word) {
    if (!looking_at(word)) return false;
    at_ += word.size();
    return true;
  }
  char32_t take() {
    if (at_end()) fail("ends too early");
    return text_[at_++];
  }

  // choice := sequence ('|' sequence)*
  PatternNode choice() {
    if (++depth_ > kMaxDepth) fail("is nested deeper than 100 levels");
    const Options before = options_;
    PatternNode out{.kind = PatternNode::kChoice};
    do out.children.push_back(sequence());
    while (accept(U"|"));
    options_ = before;
    --depth_;
    return out.children.size() == 1 ? std::move(out.children[0]) : std::move(out);
  }

  PatternNode sequence() {
    PatternNode out;
    char32_t previous = 0;  // the literal before, for refuse_folded_pair
    while (!at_end() && peek() != '|' && peek() != ')') {
      if (looking_at(U"(?#")) {
        skip_comment();
        continue;
      }
      const char32_t literal = peek();
      if (options_.ignore_case) refuse_folded_pair(previous, literal);
      previous = literal;
      out.children.push_back(repeated(atom()));
    }
    return out;
  }

  void skip_comment() {
    while (take() != ')') {
    }
  }

  // Oniguruma finds \G in unexpected places once something comes before it.
  void refuse_late_search_start(const PatternNode& node, bool first) const {
    if (node.kind == PatternNode::kSearchStart && !first) fail("has \\G behind something else; the pattern ends");
    if (node.kind == PatternNode::kRepeat || node.kind == PatternNode::kBehind) first = false;
    for (size_t i = 0; i < node.children.size(); ++i) {
      refuse_late_search_start(node.children[i], first && (i == 0 || node.kind == PatternNode::kChoice));
    }
  }

  // Case folding also maps ß to ss and ligatures to ff, fi, fl, st: a pair that could match one character is refused.
  void refuse_folded_pair(char32_t a, char32_t b) const {
    if (!is_ascii_letter(a) || !is_ascii_letter(b)) return;
    const char pair[] = {char(a | 0x20), char(b | 0x20)};
    for (const std::string_view folded : {"ss", "ff", "fi", "fl", "st"}) {
      if (folded == std::string_view(pair, 2)) fail("ignores case in letters that also match a single ligature");
    }
  }

  // The quantifiers after an atom; further ones repeat the whole before them.
  PatternNode repeated(PatternNode inner) {
    bool may_repeat = inner.kind <= PatternNode::kAtomic;
    while (true) {
      PatternNode out{.kind = PatternNode::kRepeat};
      bool interval = false;
      if (accept(U"?")) {
        out.min = 0, out.max = 1;
      } else if (accept(U"*")) {
        out.min = 0, out.max = PatternNode::kUnlimited;
      } else if (accept(U"+")) {
        out.min = 1, out.max = PatternNode::kUnlimited;
      } else if (peek() == '{' && counts(out.min, out.max)) {
        interval = true;
      } else {
        return inner;
      }
      if (!may_repeat) fail("repeats what matches no character");
      // `{n}?` is "n times or not at all", and `{n,m}+` repeats again: only ? * + can be made possessive in this
      // syntax.
      const bool exact = interval && out.min == out.max;
      if (!exact && accept(U"?"))
        out.mode = PatternNode::kLazy;
      else if (!interval && accept(U"+"))
        out.mode = PatternNode::kPossessive;
      if (++repeats_ > kMaxCount) fail("has more than 10,000 quantifiers");
      out.children.push_back(std::move(inner));
      inner = std::move(out);
      if (++depth_of_repeats_ > 4) fail("repeats a repetition of a repetition");
    }
  }

  // {n}, {n,}, {,m}, {n,m}; anything else after a brace is the brace itself.
  bool counts(int& min, int& max) {
    const size_t start = at_;
    at_ += 1;
    const std::optional<int> low = number();
    std::optional<int> high = low;
    if (accept(U",")) {
      high = number();
      if (!low && !high) return at_ = start, false;
    }
    if (!accept(U"}") || (!low && !high)) return at_ = start, false;
    min = low.value_or(0);
    max = high.value_or(PatternNode::kUnlimited);
    if (max != PatternNode::kUnlimited && min > max) fail("has a repeat range that runs backwards");
    return true;
  }

  std::optional<int> number() {
    std::optional<int> value;
    while (peek() >= '0' && peek() <= '9') {
      value = value.value_or(0) * 10 + int(take() - '0');
      if (*value > kMaxCount) fail("repeats more than 10,000 times");
    }
    return value;
  }

  PatternNode atom() {
    depth_of_repeats_ = 0;
    const char32_t c = take();
    switch (c) {
      case '(':
        return group();
      case '[':
        return set_node(character_class());
      case '.':
        return set_node(options_.dot_all ? CodePoints{{0, CodePoints::kLast}} : one('\n').complement());
      case '^':
        return {.kind = PatternNode::kLineStart};
      case '$':
        return {.kind = PatternNode::kLineEnd};
      case '\\':
        return escape();
      case '?':
      case '*':
      case '+':
        fail("repeats nothing");
      default:
        return set_node(literal(c));
    }
  }

  CodePoints literal(char32_t c) const {
    if (!options_.ignore_case) return one(c);
    if (c >= 0x80 && may_have_case(c)) fail("ignores the case of a character outside ASCII");
    return ignoring_case(c);
  }

  PatternNode group() {
    PatternNode out;
    bool wraps = true;
    if (!accept(U"?")) {
      wraps = false;  // a capture: nothing refers to it
    } else if (accept(U":")) {
      wraps = false;
    } else if (accept(U">")) {
      out.kind = PatternNode::kAtomic;
    } else if (accept(U"=")) {
      out.kind = PatternNode::kAhead;
    } else if (accept(U"!")) {
      out = {.kind = PatternNode::kAhead, .negated = true};
    } else if (accept(U"<=")) {
      out.kind = PatternNode::kBehind;
    } else if (accept(U"<!")) {
      out = {.kind = PatternNode::kBehind, .negated = true};
    } else if (accept(U"<")) {
      group_name();
      wraps = false;
    } else {
      return options_group();
    }
    PatternNode inner = choice();
    if (!accept(U")")) fail("has an opening parenthesis without a closing one");
    if (!wraps) return grouped(std::move(inner));
    out.children.push_back(std::move(inner));
    return out;
  }

  // What is grouped can be repeated, whatever it is.
  static PatternNode grouped(PatternNode inner) {
    PatternNode out;
    out.children.push_back(std::move(inner));
    return out;
  }

  void group_name() {
    if (!is_ascii_letter(peek()) && peek() != '_') fail("has a group whose name is no word");
    while (is_ascii_letter(peek()) || peek() == '_' || (peek() >= '0' && peek() <= '9')) take();
    if (!accept(U">")) fail("has a group whose name is no word");
  }

  // (?im-im:...) or (?im-im), which lasts to the end of the group around it, alternatives included.
  PatternNode options_group() {
    const Options before = options_;
    bool on = true;
    while (true) {
      const char32_t c = take();
      if (c == '-')
        on = false;
      else if (c == 'i')
        options_.ignore_case = on;
      else if (c == 'm')
        options_.dot_all = on;
      else if (c == ':' || c == ')') {
        PatternNode inner = choice();
        options_ = before;
        if (c == ':' && !accept(U")")) fail("has an opening parenthesis without a closing one");
        return grouped(std::move(inner));
      } else {
        fail("has a group of an unsupported kind");
      }
    }
  }

  PatternNode escape() {
    const char32_t c = peek();
    const auto assertion = [&](PatternNode::Kind kind, bool negated = false) {
      take();
      return PatternNode{.kind = kind, .negated = negated};
    };
    switch (c) {
      case 'A':
        return assertion(PatternNode::kTextStart);
      case 'z':
        return assertion(PatternNode::kTextEnd);
      case 'Z':
        return assertion(PatternNode::kLastLineEnd);
      case 'G':
        return assertion(PatternNode::kSearchStart);
      case 'b':
        return assertion(PatternNode::kWordEdge);
      case 'B':
        return assertion(PatternNode::kWordEdge, true);
      default:
        break;
    }
    if (std::optional<CodePoints> set = class_escape(false)) return set_node(std::move(*set));
    return set_node(literal(character_escape()));
  }

  // \s \d \w \h \p{…} and their complements, inside and outside brackets; the backslash is taken.
  std::optional<CodePoints> class_escape(bool in_brackets) {
    const char32_t c = peek();
    CodePoints set;
    if (c == 's' || c == 'S')
      set = white_space();
    else if (c == 'd' || c == 'D')
      set = *code_points_of_category("Nd");
    else if (c == 'w' || c == 'W')
      set = regex_word_characters(in_brackets);
    else if (c == 'h' || c == 'H')
      set = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    else if (c == 'p' || c == 'P')
      return property();
    else
      return std::nullopt;
    take();
    return c < 'a' ? set.complement() : set;
  }

  CodePoints property() {
    bool negated = take() == 'P';
    if (!accept(U"{")) fail("has \\p without braces");
    if (accept(U"^")) negated = !negated;
    std::string name;
    while (!accept(U"}")) {
      const char32_t c = take();
      if (c >= 0x80 || name.size() > 40) fail("names an unknown property");
      name += char(c);
    }
    std::optional<CodePoints> set = code_points_of_category(name);
    if (!set) set = code_points_of_script(name);
    if (!set) set = code_points_of_class(name);
    if (!set) fail(fmt::format("names the property '{}', which is not supported,", name));
    // Letters as a whole are closed under case; what a part of the cased ones should mean then is not settled.
    if (options_.ignore_case) {
      const CodePoints cased = *code_points_of_category("LC"), met = *set & cased;
      if (!met.ranges().empty() && met != cased && name != "xdigit") fail("ignores the case of a case");
    }
    return negated ? set->complement() : *set;
  }

  // [:digit:] and [:^digit:] inside brackets; the opening is taken.
  CodePoints posix_class() {
    const bool negated = accept(U"^");
    std::string name;
    while (!accept(U":]")) {
      const char32_t c = take();
      if (c < 'a' || c > 'z' || name.size() > 10) fail("has a POSIX bracket without a name");
      name += char(c);
    }
    std::optional<CodePoints> set = name == "word" ? regex_word_characters(true) : code_points_of_class(name);
    if (!set || name == "any") fail(fmt::format("has the POSIX bracket '{}', which is not supported,", name));
    if (name == "punct") set = *set | *code_points_of_category("S");
    return negated ? set->complement() : *set;
  }

  // The character that an escape stands for; the backslash is taken.
  char32_t character_escape() {
    const char32_t c = take();
    switch (c) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'a':
        return 7;
      case 'e':
        return 0x1B;
      case '0':
        return peek() >= '0' && peek() <= '7' ? (fail("has an octal escape"), U'\0') : U'\0';
      case 'u':
        return hexadecimal(4, 4);
      case 'x': {
        if (!accept(U"{")) {
          const char32_t value = hexadecimal(1, 2);
          if (value >= 0x80) fail("has a byte that is no character by itself");
          return value;
        }
        const char32_t value = hexadecimal(1, 8);
        if (!accept(U"}")) fail("has an escape without its closing brace");
        return value;
      }
      default:
        break;
    }
    if ((c >= '1' && c <= '9') || c == 'k') fail("has a back reference");
    if (is_ascii_letter(c)) fail("has an unsupported escape");
    return c;
  }

  char32_t hexadecimal(int least, int most) {
    char32_t value = 0;
    int digits = 0;
    for (; digits < most; ++digits) {
      const char32_t c = peek();
      if (c >= '0' && c <= '9')
        value = value * 16 + (c - '0');
      else if (c >= 'a' && c <= 'f')
        value = value * 16 + (c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        value = value * 16 + (c - 'A' + 10);
      else
        break;
      take();
    }
    if (digits < least || value > CodePoints::kLast || (value >= 0xD800 && value < 0xE000)) {
      fail("has a hexadecimal escape that is no character");
    }
    return value;
  }

  // What follows '[': ranges, escapes, nested classes, and intersections of all that with &&.
  CodePoints character_class() {
    if (++depth_ > kMaxDepth) fail("is nested deeper than 100 levels");
    const bool negated = accept(U"^");
    if (peek() == ']') fail("has an empty character class");
    std::optional<CodePoints> meet;  // of the operands of && before this one
    std::vector<CodePoints::Range> ranges;
    const auto close_operand = [&] {
      CodePoints operand(std::move(ranges));
      ranges.clear();
      meet = meet ? *meet & operand : std::move(operand);
    };
    const auto add = [&](const CodePoints& set) {
      ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
    };
    while (true) {
      if (at_end()) fail("has an opening bracket without a closing one");
      if (accept(U"]")) break;
      if (accept(U"&&"))
        close_operand();
      else if (accept(U"[:"))
        add(posix_class());
      else if (accept(U"["))
        add(character_class());
      else
        add(class_member());
    }
    close_operand();
    --depth_;
    return negated ? meet->complement() : *meet;
  }

  // A character, a range of characters, or a class escape.
  CodePoints class_member() {
    char32_t first = take();
    if (first == '\\') {
      if (std::optional<CodePoints> set = class_escape(true)) {
        if (peek() == '-' && peek(1) != ']') fail("has a range that starts with a class");
        return *set;
      }
      first = accept(U"b") ? 8 : character_escape();
    }
    if (peek() != '-' || peek(1) == ']' || peek(1) == '[') return literal(first);
    take();
    if (looking_at(U"&&")) fail("has a range without an end");
    char32_t last = take();
    if (last == '\\') {
      if (class_escape(true)) fail("has a range that ends with a class");
      last = accept(U"b") ? 8 : character_escape();
    }
    if (first > last) fail("has a range that runs backwards");
    if (!options_.ignore_case) return {{first, last}};
    if (last >= 0x80) fail("ignores the case of a range outside ASCII");
    CodePoints out;
    for (char32_t c = first; c <= last; ++c) out = out | ignoring_case(c);
    return out;
  }

  std::string_view pattern_;
  const std::string& where_;
  std::u32string text_;
  size_t at_ = 0;
  int depth_ = 0, depth_of_repeats_ = 0, repeats_ = 0;
  Options options_;
};

}  // namespace

PatternNode parse_pattern(std::string_view pattern, const std::string& where) { return Parser(pattern, where).parse(); }

}  // namespace nemotron
