// text % values: one directive after another.

#include "text/jinja/percent.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/failure.h"
#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

struct Directive {
  bool left = false, plus = false, blank = false, alternate = false, zero = false;
  size_t width = 0;
  int precision = -1;
  char type = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(Heap& heap, const Value& format, const Value& values)
      : heap_(heap), text_(text_of(format)), markup_(is_markup(format)), values_(values) {}

  std::string run() {
    while (at_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', at_), text_.size());
      out_.append(text_, at_, percent - at_);
      at_ = percent;
      if (at_ < text_.size()) directive();
      heap_.allow(out_.size());
    }
    heap_.copies(out_.size());
    const bool all_used =
        values_.is(Kind::tuple) ? used_ == values_.as<Sequence>().items.size() : used_ > 0 || is_mapping();
    if (!all_used) fail_value("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  // What has items by key: a single value of this kind need not be used.
  bool is_mapping() const {
    return values_.is(Kind::dict) || values_.is(Kind::list) || values_.is(Kind::undefined) || values_.is(Kind::range);
  }

  char take() {
    if (at_ >= text_.size()) fail_value("incomplete format");
    return text_[at_++];
  }

  const Value& next_value() {
    if (!keyed_.is_missing()) return keyed_;
    if (values_.is(Kind::tuple)) {
      const auto& items = values_.as<Sequence>().items;
      if (used_ < items.size()) return items[used_++];
    } else if (used_++ == 0) {
      return values_;
    }
    fail_value("not enough arguments for format string");
  }

  int64_t star() {
    const Value& value = next_value();
    if (!value.is_integral()) fail_value("* wants int");
    return to_index(value);
  }

  size_t number(char& c) {
    size_t value = 0;
    for (; c >= '0' && c <= '9'; c = take()) {
      value = value * 10 + static_cast<size_t>(c - '0');
      if (value > 1'000'000'000) fail_value("width too big");
    }
    return value;
  }

  void key() {
    if (!values_.is(Kind::dict)) fail_value("format requires a mapping");
    const size_t from = at_;
    for (int open = 1; open > 0;) {
      const char c = at_ < text_.size() ? take() : '\0';
      if (at_ >= text_.size() && c != ')') fail_value("incomplete format key");
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const std::string name = text_.substr(from, at_ - 1 - from);
    const Value* value = values_.as<Dict>().find(name);
    if (!value) fail_value(repr_text(name));
    keyed_ = *value;
  }

  void directive() {
    ++at_;
    keyed_ = Value();
    char c = take();
    if (c == '(') {
      key();
      c = take();
    }
    Directive d;
    for (;; c = take()) {
      if (c == '-')
        d.left = true;
      else if (c == '+')
        d.plus = true;
      else if (c == ' ')
        d.blank = true;
      else if (c == '#')
        d.alternate = true;
      else if (c == '0')
        d.zero = true;
      else
        break;
    }
    if (c == '*') {
      const int64_t width = star();
      if (width < 0) d.left = true;
      d.width = width < 0 ? 0 - static_cast<uint64_t>(width) : static_cast<uint64_t>(width);
      c = take();
    } else {
      d.width = number(c);
    }
    if (c == '.') {
      c = take();
      if (c == '*') {
        d.precision = static_cast<int>(std::clamp<int64_t>(star(), 0, 1'000'000'000));
        c = take();
      } else {
        d.precision = static_cast<int>(number(c));
      }
    }
    if (c == 'h' || c == 'l' || c == 'L') c = take();
    d.type = c;
    convert(d);
  }

  std::string safe(std::string text, const Value& value) const {
    return markup_ && !is_markup(value) ? escape_html(heap_, text) : text;
  }

  void convert(const Directive& d) {
    switch (d.type) {
      case '%':
        out_ += '%';
        return;
      case 's':
      case 'r':
      case 'a': {
        const Value value = next_value();
        std::string text = d.type == 's' ? str(value) : d.type == 'r' ? repr(value) : ascii(value);
        text = d.type == 's' ? safe(std::move(text), value) : safe(std::move(text), Value());
        if (d.precision >= 0) text.resize(skip_code_points(text, 0, static_cast<size_t>(d.precision)));
        place(d, std::move(text));
        return;
      }
      case 'c':
        character(d);
        return;
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        integer(d);
        return;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        real(d);
        return;
      default: {
        size_t start = at_ - 1;
        const size_t position = code_point_count(std::string_view(text_).substr(0, start));
        const char32_t c = next_code_point(text_, start);
        std::string shown;
        append_utf8(shown, c);
        fail_value("unsupported format character '" + shown + "' at index " + std::to_string(position));
      }
    }
  }

  void place(const Directive& d, std::string text) {
    out_ += padded(heap_, std::move(text), d.width, " ", d.left ? '<' : '>');
  }

  void character(const Directive& d) {
    const Value value = next_value();
    std::string text;
    if (value.is(Kind::string) && length_of(value) == 1) {
      text = text_of(value);
    } else if (value.is_integral()) {
      const int64_t code = to_index(value);
      if (code < 0 || code > 0x10FFFF) fail_value("%c arg not in range(0x110000)");
      append_utf8(text, static_cast<char32_t>(code));
    } else {
      fail_value("%c requires int or char");
    }
    place(d, std::move(text));
  }

  void number(const Directive& d, bool negative, std::string prefix, const std::string& digits) {
    prefix.insert(0, negative ? "-" : d.plus ? "+" : d.blank ? " " : "");
    const size_t lead = prefix.size();
    const char align = d.left ? '<' : d.zero ? '=' : '>';
    out_ += padded(heap_, prefix + digits, d.width, align == '=' ? "0" : " ", align, lead);
  }

  void integer(const Directive& d) {
    const Value value = next_value();
    const bool decimal = d.type == 'd' || d.type == 'i' || d.type == 'u';
    if (value.is(Kind::undefined) && decimal) value.as<Undefined>().raise();
    if (!value.is_integral() && !(decimal && value.is(Kind::real))) {
      fail_value(std::string("%") + d.type +
                 (decimal ? " format: a real number is required, not " : " format: an integer is required, not ") +
                 type_name(value));
    }
    BigInt big = value.is(Kind::real) ? to_big(truncated(heap_, value.real())) : to_big(value);
    const bool negative = big.is_negative();
    if (negative) big = -big;
    std::string digits = big.text(decimal ? 10 : d.type == 'o' ? 8 : 16);
    if (d.type == 'X')
      std::transform(digits.begin(), digits.end(), digits.begin(), [](char c) { return std::toupper(c); });
    if (d.precision > 0) digits = padded(heap_, std::move(digits), static_cast<size_t>(d.precision), "0", '>');
    std::string prefix;
    if (d.alternate && !decimal) prefix = std::string("0") + d.type;
    number(d, negative, prefix, digits);
  }

  void real(const Directive& d) {
    const Value value = next_value();
    if (value.is(Kind::undefined)) value.as<Undefined>().raise();
    if (!value.is_number()) fail_value("must be real number, not " + std::string(type_name(value)));
    if (d.precision > 100'000) fail_value("precision too large");
    const double x = to_real(value);
    const bool negative = std::signbit(x) && !std::isnan(x);
    number(d, negative, "", format_real(std::fabs(x), d.type, d.precision < 0 ? 6 : d.precision, d.alternate));
  }

  Heap& heap_;
  const std::string& text_;
  const bool markup_;
  const Value& values_;
  Value keyed_;  // the value of %(key)
  size_t at_ = 0, used_ = 0;
  std::string out_;
};

}  // namespace

Value percent_format(Heap& heap, const Value& format, const Value& values) {
  heap.scans(text_of(format).size());
  return make_string(heap, PercentFormatter(heap, format, values).run(), is_markup(format));
}

}  // namespace nemotron::jinja
