// str() and repr(): the printed forms of values, bounded in depth and size.

#include "text/jinja/print.h"

#include <fmt/format.h>

#include <cmath>

#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/loop.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

constexpr int kMaxNesting = 500;

class Printer {
 public:
  explicit Printer(const Value& root) : heap_(root.kind() >= Kind::big_integer ? &root.object()->heap() : nullptr) {}

  void repr(const Value& value, int depth);
  std::string take() { return std::move(out_); }

 private:
  template <class Items, class Print>
  void list(const Items& items, const char* open, const char* close, const Print& print) {
    out_ += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ", ";
      first = false;
      print(item);
      count();
    }
    out_ += close;
  }

  // Every printed item is paid for, so that shared lists inside lists cannot grow without bound.
  void count() {
    heap_->copies(out_.size() - counted_);
    heap_->allow(out_.size());
    counted_ = out_.size();
  }

  Heap* heap_;  // of the containers; scalars need none
  std::string out_;
  size_t counted_ = 0;
};

void Printer::repr(const Value& value, int depth) {
  if (depth > kMaxNesting) fail_value("maximum recursion depth exceeded while getting the repr of an object");
  const auto item = [&](const Value& v) { repr(v, depth + 1); };
  const auto pair = [&](const std::pair<Value, Value>& p) {
    repr(p.first, depth + 1);
    out_ += ": ";
    repr(p.second, depth + 1);
  };
  switch (value.kind()) {
    case Kind::string:
      if (is_markup(value))
        out_ += "Markup(" + repr_text(text_of(value)) + ")";
      else
        out_ += repr_text(text_of(value));
      break;
    case Kind::list:
      list(value.as<Sequence>().items, "[", "]", item);
      break;
    case Kind::tuple: {
      const auto& items = value.as<Sequence>().items;
      list(items, "(", items.size() == 1 ? ",)" : ")", item);
      break;
    }
    case Kind::dict:
      list(value.as<Dict>().items, "{", "}", pair);
      break;
    case Kind::view: {
      const View& v = value.as<View>();
      out_ += type_name(value);
      list(v.dict.as<Dict>().items, "([", "])", [&](const std::pair<Value, Value>& p) {
        if (v.part == View::Part::items) out_ += '(';
        if (v.part != View::Part::values) repr(p.first, depth + 1);
        if (v.part == View::Part::items) out_ += ", ";
        if (v.part != View::Part::keys) repr(p.second, depth + 1);
        if (v.part == View::Part::items) out_ += ')';
      });
      break;
    }
    case Kind::undefined:
      out_ += "Undefined";
      break;
    case Kind::name_space:
      out_ += "<Namespace ";
      repr(value.as<Namespace>().attributes, depth + 1);
      out_ += ">";
      break;
    default:
      out_ += str(value);
      break;
  }
}

}  // namespace

std::string repr_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return python_float(value);
}

std::string repr_text(std::string_view text) {
  const bool single = text.find('\'') != text.npos, both = single && text.find('"') != text.npos;
  const char quote = single && !both ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const char32_t c = next_code_point(text, at);
    if (c == static_cast<unsigned char>(quote) || c == '\\')
      (out += '\\') += static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (c >= 0x20 && c < 0x7F)
      out += static_cast<char>(c);
    else if (is_printable(c))
      out += text.substr(from, at - from);
    else
      out += escape_of(c);
  }
  return out += quote;
}

std::string str(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      return "";
    case Kind::none:
      return "None";
    case Kind::boolean:
      return value.boolean() ? "True" : "False";
    case Kind::integer:
      return std::to_string(value.integer());
    case Kind::big_integer: {
      const BigInt& big = value.as<BigInteger>().value;
      value.object()->heap().work(big.limbs() * big.limbs() / 16);
      return big.text();
    }
    case Kind::real:
      return repr_float(value.real());
    case Kind::string:
      return text_of(value);
    case Kind::range: {
      const Range& r = value.as<Range>();
      return r.step == 1 ? fmt::format("range({}, {})", r.start, r.stop)
                         : fmt::format("range({}, {}, {})", r.start, r.stop, r.step);
    }
    case Kind::macro: {
      const std::string& name = value.as<Macro>().body.name;
      return "<Macro " + (name.empty() ? "anonymous" : repr_text(name)) + ">";
    }
    case Kind::loop: {
      Loop& loop = value.as<Loop>();
      return fmt::format("<LoopContext {}/{}>", loop.index(), loop.length());
    }
    case Kind::function:
      return fmt::format("<function {}>", value.as<Function>().name);
    case Kind::method:
      return fmt::format("<built-in method {}>", value.as<Method>().name);
    case Kind::iterator:
    case Kind::cycler:
    case Kind::joiner:
    case Kind::activation:
      return fmt::format("<{} object>", type_name(value));
    default:
      return repr(value);
  }
}

std::string repr(const Value& value) {
  if (value.is(Kind::string)) value.object()->heap().scans(text_of(value).size());
  Printer printer(value);
  printer.repr(value, 0);
  return printer.take();
}

std::string ascii(const Value& value) {
  const std::string text = repr(value);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c < 0x80)
      out += static_cast<char>(c);
    else
      out += escape_of(c);
  }
  return out;
}

}  // namespace nemotron::jinja
