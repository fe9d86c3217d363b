// Filters on text and numbers.

#include <algorithm>
#include <cmath>
#include <iterator>

#include "text/jinja/arithmetic.h"
#include "text/jinja/failure.h"
#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/markup.h"
#include "text/jinja/methods.h"
#include "text/jinja/numbers.h"
#include "text/jinja/parameters.h"
#include "text/jinja/percent.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/jinja/tojson.h"
#include "text/jinja/unicode.h"
#include "text/jinja/wrap.h"

namespace nemotron::jinja {
namespace {

// Strings (markup too) as they are, the rest as str() prints it.
Value soft_string(Interpreter& in, const Value& value) {
  return value.is(Kind::string) ? value : make_string(in.heap(), str(value));
}

Value string(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("string", arguments, {});
  return soft_string(in, subject);
}

Value safe(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("safe", arguments, {});
  return make_string(in.heap(), str(subject), true);
}

Value escape(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("escape", arguments, {});
  return make_string(in.heap(), escaped(in.heap(), subject), true);
}

Value force_escape(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("forceescape", arguments, {});
  return make_string(in.heap(), escape_html(in.heap(), str(subject)), true);
}

// A filter that is the string method of the same name.
template <const char* const& Name>
Value as_method(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters(Name, arguments, {});
  return find_string_method(Name)->body(in, soft_string(in, subject), arguments);
}
constexpr const char* kUpper = "upper";
constexpr const char* kLower = "lower";
constexpr const char* kCapitalize = "capitalize";

// Not str.title: words start behind blanks and opening brackets only, so that "they're" stays one.
Value title(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("title", arguments, {});
  const Value value = soft_string(in, subject);
  const std::string& text = text_of(value);
  in.heap().scans(2 * text.size());
  const auto separates = [](char32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const bool separator = separates(next_code_point(text, at));
    const size_t second = at;
    while (at < text.size()) {
      size_t next = at;
      if (separates(next_code_point(text, next)) != separator) break;
      at = next;
    }
    out += to_upper(std::string_view(text).substr(from, second - from));
    out += to_lower(std::string_view(text).substr(second, at - second));
  }
  return make_string(in.heap(), std::move(out), false);
}

Value trim(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("trim", arguments, {"chars"});
  const Value value = soft_string(in, subject);
  const std::string* chars = p.is_none_or_missing(0) ? nullptr : &p.text(0);
  return make_string(in.heap(), std::string(stripped(in.heap(), text_of(value), chars, true, true)), is_markup(value));
}

Value replace(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("replace", arguments, {"old", "new", "count"}, 2);
  const int64_t count = p.is_none_or_missing(2) ? -1 : p.integer(2);
  if (!in.autoescape()) return make_string(in.heap(), replaced(in.heap(), str(subject), str(p[0]), str(p[1]), count));
  const bool escapes = is_markup(p[0]) || (is_markup(p[1]) && !is_markup(subject));
  const bool markup = escapes || is_markup(subject);
  const std::string text = escapes ? escaped(in.heap(), subject) : str(subject);
  const std::string to = markup ? escaped(in.heap(), p[1]) : str(p[1]);
  return make_string(in.heap(), replaced(in.heap(), text, str(p[0]), to, count), markup);
}

Value format(Interpreter& in, const Value& subject, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    fail_value("can't handle positional and keyword arguments at the same time");
  }
  Value values = make_tuple(in.heap(), arguments.positional);
  if (!arguments.named.empty()) {
    values = make_dict(in.heap());
    for (auto& [name, value] : arguments.named) values.as<Dict>().set(make_string(in.heap(), name), value);
  }
  return percent_format(in.heap(), soft_string(in, subject), values);
}

// A filter that asks for text as its subject.
const std::string& text_subject(const Value& subject, const char* filter) {
  if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
  if (!subject.is(Kind::string)) {
    fail_value(std::string(filter) + " needs a string, not '" + type_name(subject) + "'");
  }
  return text_of(subject);
}

Value indent(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("indent", arguments, {"width", "first", "blank"});
  const std::string text = text_subject(subject, "indent") + "\n";
  std::string indentation(4, ' ');
  if (p[0].is(Kind::string)) {
    indentation = text_of(p[0]);
  } else if (p.has(0)) {
    const auto width = static_cast<size_t>(std::max<int64_t>(0, p.integer(0)));
    in.heap().allow(width);
    indentation.assign(width, ' ');
  }
  if (is_markup(subject)) indentation = p[0].is(Kind::string) ? escaped(in.heap(), p[0]) : indentation;
  in.heap().scans(text.size());
  std::string out = p.flag(1) ? indentation : "";
  bool first = true;
  for (const std::string_view line : split_lines(text)) {
    if (!first) out += '\n';
    if (!first && (p.flag(2) || !line.empty())) {
      in.heap().copies(indentation.size());
      in.heap().allow(out.size() + indentation.size());
      out += indentation;
    }
    out += line;
    first = false;
  }
  return make_string(in.heap(), std::move(out), is_markup(subject));
}

Value center(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("center", arguments, {"width"});
  Arguments width{{p.has(0) ? p[0] : Value(int64_t{80})}, {}};
  return find_string_method("center")->body(in, soft_string(in, subject), width);
}

Value truncate(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const int64_t length = p.integer(0, 255), leeway = p.is_none_or_missing(3) ? 5 : p.integer(3);
  const std::string end = p.has(2) ? p.text(2) : "...";
  const auto end_length = static_cast<int64_t>(code_point_count(end));
  if (length < end_length) {
    fail_value("expected length >= " + std::to_string(end_length) + ", got " + std::to_string(length));
  }
  if (leeway < 0) fail_value("expected leeway >= 0, got " + std::to_string(leeway));
  const auto size = static_cast<int64_t>(length_of(subject));  // a short list passes, as in Jinja
  if (size <= length || size - length <= leeway) return subject;
  const std::string& text = text_subject(subject, "truncate");
  in.heap().scans(text.size());
  std::string_view kept = std::string_view(text).substr(0, skip_code_points(text, 0, size_t(length - end_length)));
  if (!p.flag(1)) kept = split_at(kept, " ", 1, true)[0];
  return make_string(in.heap(), std::string(kept) + end, is_markup(subject));
}

Value word_wrap(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("wordwrap", arguments, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  const std::string& text = text_subject(subject, "wordwrap");
  const std::string newline = p.is_none_or_missing(2) ? "\n" : p.text(2);
  const int64_t width = p.integer(0, 79);
  if (width <= 0) fail_value("invalid width " + std::to_string(width) + " (must be > 0)");
  in.heap().scans(4 * text.size());
  std::string out;
  bool first = true;
  for (const std::string_view paragraph : split_lines(text)) {
    if (!first) out += newline;
    first = false;
    bool first_line = true;
    for (const std::string& line : wrapped(paragraph, size_t(width), p.flag(1, true), p.flag(3, true))) {
      if (!first_line) out += newline;
      first_line = false;
      out += line;
      in.heap().allow(out.size());
    }
  }
  return make_string(in.heap(), std::move(out));
}

Value word_count(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("wordcount", arguments, {});
  const Value value = soft_string(in, subject);
  in.heap().scans(text_of(value).size());
  int64_t words = 0;
  bool in_word = false;
  for (size_t at = 0; at < text_of(value).size();) {
    const char32_t c = next_code_point(text_of(value), at);
    const bool letter = c == '_' || is_alnum(c);
    words += letter && !in_word;
    in_word = letter;
  }
  return Value(words);
}

Value strip_tags_filter(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("striptags", arguments, {});
  return make_string(in.heap(), strip_tags(in.heap(), str(subject)));
}

// Percent-encoded but for letters, digits and `_.-~` (and `/` in a path); a blank becomes `+` in a query.
std::string url_quote(Interpreter& in, const Value& value, bool query) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  const std::string text = str(value);
  in.heap().scans(text.size());
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !query))
      out += c;
    else if (c == ' ' && query)
      out += '+';
    else
      (out += '%') += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

Value url_encode(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("urlencode", arguments, {});
  if (subject.is(Kind::string) || !is_iterable(subject)) return make_string(in.heap(), url_quote(in, subject, false));
  std::string out;
  const Value pairs = subject.is(Kind::dict) ? Value(new View(in.heap(), subject, View::Part::items)) : subject;
  const Value iterator = iterate(in.heap(), pairs);
  for (Value pair; iterator.as<Iterator>().next(pair);) {
    const std::vector<Value> both = to_vector(in.heap(), pair);
    if (both.size() != 2) fail_value("urlencode needs pairs");
    if (!out.empty()) out += '&';
    out += url_quote(in, both[0], true) + "=" + url_quote(in, both[1], true);
    in.heap().allow(out.size());
  }
  return make_string(in.heap(), std::move(out));
}

Value urlize(Interpreter&, const Value&, Arguments&) {
  fail_value("the filter urlize is not supported: it makes HTML links, which prompts have no use for");
}

Value xml_attributes(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("xmlattr", arguments, {"autospace"});
  if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
  if (!subject.is(Kind::dict)) fail_value("'" + std::string(type_name(subject)) + "' object has no attribute 'items'");
  std::string out;
  for (const auto& [key, value] : subject.as<Dict>().items) {
    if (value.is_none() || value.is(Kind::undefined)) continue;
    if (!key.is(Kind::string))
      fail_value("expected string or bytes-like object, got '" + std::string(type_name(key)) + "'");
    if (text_of(key).find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      fail_value("Invalid character in attribute name: " + repr(key));
    }
    if (!out.empty() || p.flag(0, true)) out += ' ';
    out += escaped(in.heap(), key) + "=\"" + escaped(in.heap(), value) + "\"";
    in.heap().allow(out.size());
  }
  return make_string(in.heap(), std::move(out), in.autoescape());
}

Value to_json(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = p.flag(0);
  style.sort_keys = p.flag(3);
  style.pretty = !p.is_none_or_missing(1);
  if (style.pretty) {
    style.item_separator = ",";
    if (p[1].is(Kind::string)) {
      style.indent = text_of(p[1]);
    } else {
      const auto width = static_cast<size_t>(std::max<int64_t>(0, p.integer(1)));
      in.heap().allow(width);
      style.indent.assign(width, ' ');
    }
  }
  if (!p.is_none_or_missing(2)) {
    const std::vector<Value> both = to_vector(in.heap(), p[2]);
    if (both.size() != 2 || !both[0].is(Kind::string) || !both[1].is(Kind::string)) {
      fail_value("separators must be a pair of strings");
    }
    style.item_separator = text_of(both[0]);
    style.key_separator = text_of(both[1]);
  }
  return make_string(in.heap(), dump_json(in.heap(), subject, style));
}

Value pretty_print(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("pprint", arguments, {});
  std::string text = repr(sorted_copy(in, subject, 0));
  if (code_point_count(text) > 80) fail_value("the filter pprint is not supported for what is wider than 80 columns");
  return make_string(in.heap(), std::move(text));
}

Value to_integer(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("int", arguments, {"default", "base"});
  const Value otherwise = p.has(0) ? p[0] : Value(int64_t{0});
  if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
  if (subject.is_integral()) return positive(subject);
  if (subject.is(Kind::real)) return std::isnan(subject.real()) ? otherwise : truncated(in.heap(), subject.real());
  if (!subject.is(Kind::string)) return otherwise;
  const size_t size = std::min<size_t>(text_of(subject).size(), 4300);  // of an integer that could be read
  in.heap().work(text_of(subject).size() / 8 + size * size / 256);
  const int64_t base = p.integer(1, 10);
  if (base == 0 || (base >= 2 && base <= 36)) {
    if (auto value = parse_integer(text_of(subject), base)) return make_integer(in.heap(), std::move(*value));
  }
  const auto real = parse_real(text_of(subject));
  return real && std::isfinite(*real) ? truncated(in.heap(), *real) : otherwise;
}

Value to_float(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("float", arguments, {"default"});
  if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
  if (subject.is_number()) return Value(to_real(subject));
  if (subject.is(Kind::string)) {
    in.heap().scans(text_of(subject).size());
    if (const auto real = parse_real(text_of(subject))) return Value(*real);
  }
  return p.has(0) ? p[0] : Value(0.0);
}

Value absolute(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("abs", arguments, {});
  if (!subject.is_number()) fail_value("bad operand type for abs(): '" + std::string(type_name(subject)) + "'");
  if (subject.is(Kind::real)) return Value(std::fabs(subject.real()));
  return ordered(Order::less, subject, Value(int64_t{0})) ? negate(in.heap(), subject) : positive(subject);
}

Value round(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("round", arguments, {"precision", "method"});
  const std::string method = p.has(1) ? str(p[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") fail_value("method must be common, ceil or floor");
  if (!subject.is_number()) {
    if (method != "common" && subject.is(Kind::undefined)) subject.as<Undefined>().raise();
    fail_value("type " + std::string(type_name(subject)) + " doesn't define __round__ method");
  }
  if (method == "common") return round_number(in.heap(), subject, p.integer(0));
  const Value scale = calculate(in.heap(), BinaryOp::power, Value(int64_t{10}), Value(p.integer(0)));
  const Value scaled = calculate(in.heap(), BinaryOp::multiply, subject, scale);
  Value whole = scaled;
  if (scaled.is(Kind::real)) {
    whole = truncated(in.heap(), method == "ceil" ? std::ceil(scaled.real()) : std::floor(scaled.real()));
  }
  return calculate(in.heap(), BinaryOp::divide, whole, scale);
}

Value file_size(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("filesizeformat", arguments, {"binary"});
  Arguments none;
  double bytes = 0;
  if (subject.is(Kind::string)) {
    const auto parsed = parse_real(text_of(subject));
    if (!parsed) fail_value("could not convert string to float: " + repr(subject));
    bytes = *parsed;
  } else if (subject.is_number()) {
    bytes = to_real(subject);
  } else {
    if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
    fail_value("float() argument must be a string or a real number, not '" + std::string(type_name(subject)) + "'");
  }
  const bool binary = p.flag(0);
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return make_string(in.heap(), "1 Byte");
  if (bytes < base) return make_string(in.heap(), str(truncated(in.heap(), bytes)) + " Bytes");
  static constexpr const char* kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr const char* kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  double unit = base * base;
  size_t i = 0;
  while (i < 7 && !(bytes < unit)) unit *= base, ++i;
  return make_string(in.heap(),
                     format_real(base * bytes / unit, 'f', 1, false) + " " + (binary ? kBinary : kDecimal)[i]);
}

constexpr FilterEntry kFilters[] = {
    {"abs", absolute},
    {"capitalize", as_method<kCapitalize>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"filesizeformat", file_size},
    {"float", to_float},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"int", to_integer},
    {"lower", as_method<kLower>},
    {"pprint", pretty_print},
    {"replace", replace},
    {"round", round},
    {"safe", safe},
    {"string", string},
    {"striptags", strip_tags_filter},
    {"title", title},
    {"tojson", to_json},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", as_method<kUpper>},
    {"urlencode", url_encode},
    {"urlize", urlize},
    {"wordcount", word_count},
    {"wordwrap", word_wrap},
    {"xmlattr", xml_attributes},
};

}  // namespace

MethodBody find_text_filter(std::string_view name) {
  const auto* entry =
      std::lower_bound(std::begin(kFilters), std::end(kFilters), name,
                       [](const FilterEntry& f, std::string_view n) { return std::string_view(f.name) < n; });
  return entry != std::end(kFilters) && entry->name == name ? entry->body : nullptr;
}

MethodBody find_filter(std::string_view name) {
  const MethodBody body = find_text_filter(name);
  return body ? body : find_sequence_filter(name);
}

}  // namespace nemotron::jinja
