// Unicode as Python's str sees it: utf8proc for categories and simple case pairs, tables for the rest.

#include "text/jinja/unicode.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <iterator>

namespace nemotron::jinja {
namespace {

struct CodePointRange {
  char32_t first, last;
};
struct SpecialCasing {
  char32_t from;
  char32_t to[3];
};

#include "text/jinja/unicode_tables.inc"

template <size_t N>
bool contains(const CodePointRange (&table)[N], char32_t c) {
  const auto* range = std::upper_bound(std::begin(table), std::end(table), c,
                                       [](char32_t value, const CodePointRange& r) { return value < r.first; });
  return range != std::begin(table) && c <= (range - 1)->last;
}

utf8proc_category_t category(char32_t c) {
  if (contains(kUnassigned, c)) return UTF8PROC_CATEGORY_CN;
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

template <size_t N>
void append_cased(std::string& out, const SpecialCasing (&special)[N], utf8proc_int32_t (*simple)(utf8proc_int32_t),
                  char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(simple(static_cast<utf8proc_int32_t>(c)));
    return;
  }
  const auto* entry = std::lower_bound(std::begin(special), std::end(special), c,
                                       [](const SpecialCasing& s, char32_t value) { return s.from < value; });
  if (entry == std::end(special) || entry->from != c) {
    append_utf8(out, static_cast<char32_t>(simple(static_cast<utf8proc_int32_t>(c))));
    return;
  }
  for (const char32_t to : entry->to) {
    if (to) append_utf8(out, to);
  }
}

void append_upper(std::string& out, char32_t c) { append_cased(out, kUpperSpecial, utf8proc_toupper, c); }
void append_title(std::string& out, char32_t c) { append_cased(out, kTitleSpecial, utf8proc_totitle, c); }

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

constexpr char32_t kCapitalSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2;

// Decides between the two small sigmas without looking at any text twice: what stood before is carried along, and what
// follows is looked up once for each run of case-ignorable characters.
class Lowering {
 public:
  explicit Lowering(std::string_view text) : text_(text) {}

  // Appends the lower case of `c`, which ends at `end`.
  void append(std::string& out, char32_t c, size_t end) {
    if (c == kCapitalSigma) {
      append_utf8(out, cased_before_ && !cased_follows(end) ? kFinalSigma : kSmallSigma);
    } else {
      append_cased(out, kLowerSpecial, utf8proc_tolower, c);
    }
    pass(c);
  }
  void pass(char32_t c) {
    if (!contains(kCaseIgnorable, c)) cased_before_ = is_cased(c);
  }

 private:
  bool cased_follows(size_t end) {
    if (end > known_until_) {
      size_t at = end;
      next_cased_ = false;
      while (at < text_.size()) {
        const char32_t c = next_code_point(text_, at);
        if (contains(kCaseIgnorable, c)) continue;
        next_cased_ = is_cased(c);
        break;
      }
      known_until_ = at;
    }
    return next_cased_;
  }

  std::string_view text_;
  bool cased_before_ = false;
  bool next_cased_ = false;
  size_t known_until_ = 0;  // next_cased_ holds for every position up to here
};

}  // namespace

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  const size_t left = text.size() - at;
  if (lead < 0x80 || left < 2) return ++at, lead;
  if (lead < 0xE0 || left < 3) return at += 2, (lead & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (lead < 0xF0 || left < 4) {
    return at += 3, (lead & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  }
  at += 4;
  return (lead & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
}

char32_t previous_code_point(std::string_view text, size_t& at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  size_t start = at;
  return next_code_point(text, start);
}

size_t code_point_count(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

size_t skip_code_points(std::string_view text, size_t from, size_t count) {
  for (; count > 0 && from < text.size(); --count) next_code_point(text, from);
  return from;
}

std::string escape_of(char32_t c) {
  const auto code = static_cast<uint32_t>(c);
  return c < 0x100     ? fmt::format("\\x{:02x}", code)
         : c < 0x10000 ? fmt::format("\\u{:04x}", code)
                       : fmt::format("\\U{:08x}", code);
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_alpha(char32_t c) {
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) { return is_decimal(c) || contains(kDigit, c); }
bool is_numeric(char32_t c) {
  const auto k = category(c);
  return (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) || contains(kNumeric, c);
}
bool is_alnum(char32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || contains(kOtherUpper, c); }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || contains(kOtherLower, c); }
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_identifier_start(char32_t c) { return c == '_' || is_alpha(c) || category(c) == UTF8PROC_CATEGORY_NL; }
bool is_identifier_part(char32_t c) {
  const auto k = category(c);
  return is_identifier_start(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
         k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_PC;
}

int decimal_value(char32_t c) {
  if (c < 0x80) return static_cast<int>(c - '0');
  // The decimal digits of a script are ten neighbours, zero first; runs of several scripts are multiples of ten.
  char32_t first = c;
  while (first > 0 && is_decimal(first - 1)) --first;
  return static_cast<int>((c - first) % 10);
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) append_upper(out, next_code_point(text, at));
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  Lowering lowering(text);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    lowering.append(out, c, at);
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  Lowering lowering(text);
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (in_word) {
      lowering.append(out, c, at);
    } else {
      append_title(out, c);
      lowering.pass(c);
    }
    in_word = is_cased(c);
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  std::string out;
  if (text.empty()) return out;
  Lowering lowering(text);
  size_t at = 0;
  const char32_t first = next_code_point(text, at);
  append_title(out, first);
  lowering.pass(first);
  while (at < text.size()) {
    const char32_t c = next_code_point(text, at);
    lowering.append(out, c, at);
  }
  return out;
}

std::string to_swapped(std::string_view text) {
  std::string out;
  Lowering lowering(text);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (is_upper(c)) {
      lowering.append(out, c, at);
      continue;
    }
    if (is_lower(c))
      append_upper(out, c);
    else
      append_utf8(out, c);
    lowering.pass(c);
  }
  return out;
}

std::string to_folded(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    utf8proc_int32_t folded[4];
    int last_boundary = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded, 4, UTF8PROC_CASEFOLD, &last_boundary);
    if (count < 1) append_utf8(out, c);
    for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out, static_cast<char32_t>(folded[i]));
  }
  return out;
}

}  // namespace nemotron::jinja
