// The methods of str, with Python's parameters and results.

#include <algorithm>
#include <functional>

#include "text/jinja/failure.h"
#include "text/jinja/format.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/markup.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/parameters.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

// A result of the receiver's own kind: markup stays markup.
Value like(Interpreter& in, const Value& self, std::string text) {
  return make_string(in.heap(), std::move(text), is_markup(self));
}

Value pieces(Interpreter& in, const Value& self, const std::vector<std::string_view>& parts, bool as_tuple = false) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(like(in, self, std::string(part)));
  return as_tuple ? make_tuple(in.heap(), std::move(items)) : make_list(in.heap(), std::move(items));
}

template <std::string (*Map)(std::string_view)>
Value mapped(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("str method", arguments, {});
  in.heap().scans(text_of(self).size());
  return like(in, self, Map(text_of(self)));
}

template <bool Left, bool Right>
Value strip(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("strip", arguments, {"chars"}, 0, true);
  const std::string* chars = p.is_none_or_missing(0) ? nullptr : &p.text(0);
  return like(in, self, std::string(stripped(in.heap(), text_of(self), chars, Left, Right)));
}

template <bool FromRight>
Value split(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("split", arguments, {"sep", "maxsplit"});
  const std::string& text = text_of(self);
  in.heap().scans(text.size());
  const int64_t count = p.integer(1, -1);
  if (p.is_none_or_missing(0)) return pieces(in, self, split_spaces(text, count, FromRight));
  if (p.text(0).empty()) fail_value("empty separator");
  return pieces(in, self, split_at(text, p.text(0), count, FromRight));
}

Value splitlines(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("splitlines", arguments, {"keepends"});
  in.heap().scans(text_of(self).size());
  return pieces(in, self, split_lines(text_of(self), p.flag(0)));
}

template <bool FromRight>
Value partition(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("partition", arguments, {"sep"}, 1, true);
  const std::string_view text = text_of(self);
  if (p.text(0).empty()) fail_value("empty separator");
  in.heap().scans(text.size());
  const size_t at = FromRight ? find_last_text(text, p.text(0)) : find_text(text, p.text(0));
  if (at == text.npos)
    return FromRight ? pieces(in, self, {"", "", text}, true) : pieces(in, self, {text, "", ""}, true);
  return pieces(in, self, {text.substr(0, at), p.text(0), text.substr(at + p.text(0).size())}, true);
}

Value join(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("join", arguments, {"iterable"}, 1, true);
  const bool markup = is_markup(self);
  std::string out;
  size_t count = 0;
  const Value iterator = iterate(in.heap(), p[0]);
  for (Value item; iterator.as<Iterator>().next(item); ++count) {
    if (!markup && !item.is(Kind::string)) {
      fail_value("sequence item " + std::to_string(count) + ": expected str instance, " + type_name(item) + " found");
    }
    if (count) out += text_of(self);
    const size_t before = out.size();
    out += markup ? escaped(in.heap(), item) : text_of(item);
    in.heap().copies(out.size() - before + text_of(self).size());
    in.heap().allow(out.size());
  }
  return like(in, self, std::move(out));
}

Value replace(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("replace", arguments, {"old", "new", "count"}, 2, true);
  const std::string to = is_markup(self) ? escaped(in.heap(), p[1]) : p.text(1);
  return like(in, self, replaced(in.heap(), text_of(self), p.text(0), to, p.integer(2, -1)));
}

// The bytes that text[start:end] selects; false where start lies behind the end of the text.
bool clip(const Value& self, const Parameters& p, size_t first, std::string_view& part, size_t& skipped) {
  const String& s = self.as<String>();
  const auto length = static_cast<int64_t>(s.length());
  const auto bound = [&](size_t i, int64_t otherwise) {
    int64_t at = p.is_none_or_missing(i) ? otherwise : p.integer(i);
    if (at < 0) at = std::max<int64_t>(0, at + length);
    return at;
  };
  const int64_t start = bound(first, 0), end = std::min(bound(first + 1, length), length);
  if (start > end) return false;
  const size_t from = s.ascii() ? size_t(start) : skip_code_points(s.text, 0, size_t(start));
  const size_t to = s.ascii() ? size_t(end) : skip_code_points(s.text, from, size_t(end - start));
  part = std::string_view(s.text).substr(from, to - from);
  skipped = static_cast<size_t>(start);
  return true;
}

template <bool AtEnd>
Value starts_or_ends(Interpreter& in, const Value& self, Arguments& arguments) {
  const char* name = AtEnd ? "endswith" : "startswith";
  const Parameters p(name, arguments, {"prefix", "start", "end"}, 1, true);
  std::string_view part;
  size_t skipped;
  const bool inside = clip(self, p, 1, part, skipped);
  const auto matches = [&](const Value& affix) {
    if (!affix.is(Kind::string)) {
      fail_value(std::string(name) + " first arg must be str or a tuple of str, not " + type_name(affix));
    }
    in.heap().copies(text_of(affix).size());
    return inside && (AtEnd ? part.ends_with(text_of(affix)) : part.starts_with(text_of(affix)));
  };
  if (!p[0].is(Kind::tuple)) return Value(matches(p[0]));
  const auto& affixes = p[0].as<Sequence>().items;
  return Value(std::any_of(affixes.begin(), affixes.end(), matches));
}

// The index in code points, or -1.
int64_t search(Interpreter& in, const Value& self, const Parameters& p, bool last) {
  std::string_view part;
  size_t skipped;
  const std::string& needle = p.text(0);
  in.heap().scans(text_of(self).size());
  if (!clip(self, p, 1, part, skipped)) return -1;
  const size_t at = last ? find_last_text(part, needle) : find_text(part, needle);
  if (at == part.npos) return -1;
  return static_cast<int64_t>(skipped + code_point_count(part.substr(0, at)));
}

template <bool Last, bool Required>
Value find(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p(Required ? "index" : "find", arguments, {"sub", "start", "end"}, 1, true);
  const int64_t at = search(in, self, p, Last);
  if (Required && at < 0) fail_value("substring not found");
  return Value(at);
}

Value count(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("count", arguments, {"sub", "start", "end"}, 1, true);
  std::string_view part;
  size_t skipped;
  in.heap().scans(text_of(self).size());
  if (!clip(self, p, 1, part, skipped)) return Value(int64_t{0});
  if (p.text(0).empty()) return Value(static_cast<int64_t>(code_point_count(part) + 1));
  int64_t found = 0;
  for (size_t at = 0; (at = find_text(part, p.text(0), at)) != part.npos; at += p.text(0).size()) ++found;
  return Value(found);
}

template <char Align>
Value justify(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("justify", arguments, {"width", "fillchar"}, 1, true);
  const std::string fill = p.has(1) ? p.text(1) : " ";
  if (code_point_count(fill) != 1) fail_value("The fill character must be exactly one character long");
  const auto width = static_cast<size_t>(std::max<int64_t>(0, p.integer(0)));
  if constexpr (Align == '^') {
    // Python puts the odd blank on the left where the width is odd.
    const size_t length = self.as<String>().length();
    if (width <= length) return self;
    const size_t total = width - length, left = total / 2 + (total & width & 1);
    std::string out = padded(in.heap(), text_of(self), length + left, fill, '>');
    return like(in, self, padded(in.heap(), std::move(out), width, fill, '<'));
  }
  return like(in, self, padded(in.heap(), text_of(self), width, fill, Align));
}

Value zfill(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("zfill", arguments, {"width"}, 1, true);
  const std::string& text = text_of(self);
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  return like(in, self, padded(in.heap(), text, size_t(std::max<int64_t>(0, p.integer(0))), "0", '=', sign));
}

Value expandtabs(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("expandtabs", arguments, {"tabsize"});
  const int64_t size = p.integer(0, 8);
  std::string out;
  int64_t column = 0;
  in.heap().scans(text_of(self).size());
  for (size_t at = 0; at < text_of(self).size();) {
    const size_t from = at;
    const char32_t c = next_code_point(text_of(self), at);
    if (c == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      in.heap().allow(out.size() + static_cast<size_t>(blanks));
      in.heap().copies(static_cast<size_t>(blanks));
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      out.append(text_of(self), from, at - from);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return like(in, self, std::move(out));
}

template <bool (*Is)(char32_t), bool OfEmpty>
Value all_are(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("str method", arguments, {});
  const std::string& text = text_of(self);
  in.heap().scans(text.size());
  if (text.empty()) return Value(OfEmpty);
  for (size_t at = 0; at < text.size();) {
    if (!Is(next_code_point(text, at))) return Value(false);
  }
  return Value(true);
}

bool is_ascii_character(char32_t c) { return c < 0x80; }

// At least one cased character, and none of the other case.
template <bool (*Wanted)(char32_t), bool (*Other)(char32_t)>
Value is_case(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("str method", arguments, {});
  in.heap().scans(text_of(self).size());
  bool found = false;
  for (size_t at = 0; at < text_of(self).size();) {
    const char32_t c = next_code_point(text_of(self), at);
    if (Other(c) || is_title(c)) return Value(false);
    found = found || Wanted(c);
  }
  return Value(found);
}

Value istitle(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("istitle", arguments, {});
  in.heap().scans(text_of(self).size());
  bool found = false, in_word = false;
  for (size_t at = 0; at < text_of(self).size();) {
    const char32_t c = next_code_point(text_of(self), at);
    if (is_upper(c) || is_title(c)) {
      if (in_word) return Value(false);
      in_word = found = true;
    } else if (is_lower(c)) {
      if (!in_word) return Value(false);
      found = true;
    } else {
      in_word = false;
    }
  }
  return Value(found);
}

Value isidentifier(Interpreter& in, const Value& self, Arguments& arguments) {
  Parameters("isidentifier", arguments, {});
  in.heap().scans(text_of(self).size());
  for (size_t at = 0; at < text_of(self).size();) {
    const bool first = at == 0;
    const char32_t c = next_code_point(text_of(self), at);
    if (!(first ? is_identifier_start(c) : is_identifier_part(c))) return Value(false);
  }
  return Value(!text_of(self).empty());
}

template <bool Suffix>
Value remove_affix(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("removeprefix", arguments, {"affix"}, 1, true);
  std::string_view text = text_of(self);
  if (!Suffix && text.starts_with(p.text(0))) text.remove_prefix(p.text(0).size());
  if (Suffix && text.ends_with(p.text(0))) text.remove_suffix(p.text(0).size());
  return like(in, self, std::string(text));
}

Value format(Interpreter& in, const Value& self, Arguments& arguments) {
  const Value named = make_dict(in.heap());
  for (auto& [name, value] : arguments.named) named.as<Dict>().set(make_string(in.heap(), name), value);
  return format_text(in, self, arguments.positional, named);
}

Value format_map(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("format_map", arguments, {"mapping"}, 1, true);
  if (!p[0].is(Kind::dict)) fail_value("format_map() argument must be a mapping, not " + std::string(type_name(p[0])));
  return format_text(in, self, {}, p[0]);
}

// str.maketrans(x[, y[, z]])
Value maketrans(Interpreter& in, const Value&, Arguments& arguments) {
  const Parameters p("maketrans", arguments, {"x", "y", "z"}, 1, true);
  const Value table = make_dict(in.heap());
  const auto code = [](std::string_view text, size_t& at) {
    return Value(static_cast<int64_t>(next_code_point(text, at)));
  };
  if (!p.has(1)) {
    if (!p[0].is(Kind::dict)) fail_value("if you give only one argument to maketrans it must be a dict");
    for (const auto& [key, value] : p[0].as<Dict>().items) {
      size_t at = 0;
      if (!key.is(Kind::string))
        table.as<Dict>().set(key, value);
      else if (length_of(key) != 1)
        fail_value("string keys in translate table must be of length 1");
      else
        table.as<Dict>().set(code(text_of(key), at), value);
    }
    return table;
  }
  if (length_of(p[0]) != length_of(p[1])) fail_value("the first two maketrans arguments must have equal length");
  for (size_t from = 0, to = 0; from < p.text(0).size();) {
    const Value key = code(p.text(0), from);
    table.as<Dict>().set(key, code(p.text(1), to));
  }
  if (p.has(2)) {
    for (size_t at = 0; at < p.text(2).size();) table.as<Dict>().set(code(p.text(2), at), Value::none());
  }
  return table;
}

Value translate(Interpreter& in, const Value& self, Arguments& arguments) {
  const Parameters p("translate", arguments, {"table"}, 1, true);
  if (!p[0].is(Kind::dict)) fail_value("'" + std::string(type_name(p[0])) + "' object is not subscriptable");
  std::string out;
  for (size_t at = 0; at < text_of(self).size();) {
    in.heap().work(1);
    const char32_t c = next_code_point(text_of(self), at);
    const Value* to = p[0].as<Dict>().find(Value(static_cast<int64_t>(c)));
    if (!to)
      append_utf8(out, c);
    else if (to->is(Kind::string))
      out += text_of(*to);
    else if (to->is_integral()) {
      const int64_t code = to_index(*to);
      if (code < 0 || code > 0x10FFFF) fail_value("character mapping must be in range(0x110000)");
      append_utf8(out, static_cast<char32_t>(code));
    } else if (!to->is_none()) {
      fail_value("character mapping must return integer, None or str");
    }
    in.heap().allow(out.size());
  }
  return like(in, self, std::move(out));
}

Value encode(Interpreter&, const Value&, Arguments&) {
  fail_value("str.encode is not supported: templates have no bytes here");
}

constexpr MethodEntry kMethods[] = {
    {"capitalize", mapped<to_capitalized>},
    {"casefold", mapped<to_folded>},
    {"center", justify<'^'>},
    {"count", count},
    {"encode", encode},
    {"endswith", starts_or_ends<true>},
    {"expandtabs", expandtabs},
    {"find", find<false, false>},
    {"format", format},
    {"format_map", format_map},
    {"index", find<false, true>},
    {"isalnum", all_are<is_alnum, false>},
    {"isalpha", all_are<is_alpha, false>},
    {"isascii", all_are<is_ascii_character, true>},
    {"isdecimal", all_are<is_decimal, false>},
    {"isdigit", all_are<is_digit, false>},
    {"isidentifier", isidentifier},
    {"islower", is_case<is_lower, is_upper>},
    {"isnumeric", all_are<is_numeric, false>},
    {"isprintable", all_are<is_printable, true>},
    {"isspace", all_are<is_space, false>},
    {"istitle", istitle},
    {"isupper", is_case<is_upper, is_lower>},
    {"join", join},
    {"ljust", justify<'<'>},
    {"lower", mapped<to_lower>},
    {"lstrip", strip<true, false>},
    {"maketrans", maketrans},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", justify<'>'>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", strip<false, true>},
    {"split", split<false>},
    {"splitlines", splitlines},
    {"startswith", starts_or_ends<false>},
    {"strip", strip<true, true>},
    {"swapcase", mapped<to_swapped>},
    {"title", mapped<to_title>},
    {"translate", translate},
    {"upper", mapped<to_upper>},
    {"zfill", zfill},
};

}  // namespace

const MethodEntry* find_string_method(std::string_view name) {
  const auto* entry =
      std::lower_bound(std::begin(kMethods), std::end(kMethods), name,
                       [](const MethodEntry& m, std::string_view n) { return std::string_view(m.name) < n; });
  return entry != std::end(kMethods) && entry->name == name ? entry : nullptr;
}

}  // namespace nemotron::jinja
