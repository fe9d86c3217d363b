// text.format(…): replacement fields, nested specifications, and access to parts of values.

#include "text/jinja/attributes.h"
#include "text/jinja/failure.h"
#include "text/jinja/format.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/markup.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

class TextFormatter {
 public:
  TextFormatter(Interpreter& in, bool markup, const std::vector<Value>& positional, const Value& named)
      : in_(in), markup_(markup), positional_(positional), named_(named.as<Dict>()) {}

  std::string run(std::string_view format, int depth) {
    if (depth < 0) fail_value("Max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < format.size();) {
      const char c = format[at++];
      if (c != '{' && c != '}') {
        out += c;
      } else if (at < format.size() && format[at] == c) {
        out += c;
        ++at;
      } else if (c == '}') {
        fail_value("Single '}' encountered in format string");
      } else if (at >= format.size()) {
        fail_value("Single '{' encountered in format string");
      } else {
        out += field(format, at, depth);
        in_.heap().allow(out.size());
      }
    }
    in_.heap().scans(out.size());
    return out;
  }

 private:
  // From behind the `{` to behind its `}`.
  std::string field(std::string_view format, size_t& at, int depth) {
    const size_t begin = at;
    for (bool bracket = false;; ++at) {
      if (at >= format.size()) fail_value("expected '}' before end of string");
      const char c = format[at];
      if (c == '{' && !bracket) fail_value("unexpected '{' in field name");
      if (c == '[') bracket = true;
      if (c == ']') bracket = false;
      if (!bracket && (c == '}' || c == ':' || c == '!')) break;
    }
    const std::string_view name = format.substr(begin, at - begin);
    char conversion = 0;
    if (format[at] == '!') {
      if (at + 1 >= format.size()) fail_value("end of string while looking for conversion specifier");
      conversion = format[at + 1];
      at += 2;
      if (at >= format.size()) fail_value("unmatched '{' in format spec");
      if (format[at] != ':' && format[at] != '}') fail_value("expected ':' after conversion specifier");
    }
    std::string_view spec;
    if (format[at] == ':') {
      const size_t from = ++at;
      for (int open = 1;; ++at) {
        if (at >= format.size()) fail_value("unmatched '{' in format spec");
        if (format[at] == '{') ++open;
        if (format[at] == '}' && --open == 0) break;
      }
      spec = format.substr(from, at - from);
    }
    ++at;
    const Value value = converted(lookup(name), conversion);
    return formatted(value, spec.find_first_of("{}") == spec.npos ? std::string(spec) : run(spec, depth - 1));
  }

  std::string formatted(const Value& value, const std::string& spec) {
    if (!markup_) return format_value(in_.heap(), value, spec);
    if (is_markup(value)) {
      if (!spec.empty()) fail_value("Unsupported format specification for Markup.");
      return text_of(value);
    }
    return escape_html(in_.heap(), format_value(in_.heap(), value, spec));
  }

  Value converted(const Value& value, char conversion) {
    switch (conversion) {
      case 0:
        return value;
      case 's':
        return make_string(in_.heap(), str(value));
      case 'r':
        return make_string(in_.heap(), repr(value));
      case 'a':
        return make_string(in_.heap(), ascii(value));
      default:
        fail_value(std::string("Unknown conversion specifier ") + conversion);
    }
  }

  Value argument(std::string_view name) {
    if (name.empty() && numbering_ == Numbering::manual) {
      fail_value("cannot switch from manual field specification to automatic field numbering");
    }
    if (is_number(name) && numbering_ == Numbering::automatic) {
      fail_value("cannot switch from automatic field numbering to manual field specification");
    }
    if (!is_number(name) && !name.empty()) {
      const Value* value = named_.find(name);
      if (!value) fail_value(repr_text(name));
      return *value;
    }
    size_t index = next_;
    if (name.empty()) {
      numbering_ = Numbering::automatic;
      ++next_;
    } else {
      numbering_ = Numbering::manual;
      index = name.size() > 9 ? SIZE_MAX : std::stoul(std::string(name));
    }
    if (index >= positional_.size())
      fail_value("Replacement index " + std::string(name) + " out of range for positional args tuple");
    return positional_[index];
  }

  Value lookup(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    if (end == 0 && !name.empty()) fail_value("''");  // a field such as {.x}: no argument of that name
    Value value = argument(name.substr(0, end));
    for (size_t at = end; at < name.size();) {
      in_.heap().work(1);
      if (name[at] == '.') {
        const size_t from = ++at;
        at = std::min(name.find_first_of(".[", at), name.size());
        if (at == from) fail_value("Empty attribute in format string");
        value = get_attribute(in_, value, std::string(name.substr(from, at - from)));
      } else if (name[at] == '[') {
        const size_t close = name.find(']', at);
        if (close == name.npos) fail_value("Missing ']' in format string");
        const std::string key(name.substr(at + 1, close - at - 1));
        if (key.empty()) fail_value("Empty attribute in format string");
        const bool index = is_number(key) && key.size() < 18;
        value = get_item(in_, value, index ? Value(int64_t{std::stoll(key)}) : make_string(in_.heap(), key));
        at = close + 1;
      } else {
        fail_value("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  enum class Numbering { unknown, automatic, manual };
  Interpreter& in_;
  const bool markup_;
  const std::vector<Value>& positional_;
  const Dict& named_;
  Numbering numbering_ = Numbering::unknown;
  size_t next_ = 0;
};

}  // namespace

Value format_text(Interpreter& in, const Value& format, const std::vector<Value>& positional, const Value& named) {
  in.heap().scans(text_of(format).size());
  const bool markup = is_markup(format);
  return make_string(in.heap(), TextFormatter(in, markup, positional, named).run(text_of(format), 2), markup);
}

}  // namespace nemotron::jinja
