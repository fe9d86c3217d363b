// json.dumps: escapes, separators and indentation as Python writes them.

#include "text/jinja/tojson.h"

#include <fmt/format.h>

#include <cmath>

#include "text/jinja/failure.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

constexpr int kMaxNesting = 500;

class Dumper {
 public:
  Dumper(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  void dump(const Value& value, int depth) {
    if (depth > kMaxNesting) fail_value("maximum recursion depth exceeded while encoding a JSON object");
    heap_.scans(out_.size() - counted_);
    heap_.allow(out_.size());
    counted_ = out_.size();
    switch (value.kind()) {
      case Kind::none:
        out_ += "null";
        break;
      case Kind::boolean:
        out_ += value.boolean() ? "true" : "false";
        break;
      case Kind::integer:
      case Kind::big_integer:
        out_ += str(value);
        break;
      case Kind::real:
        out_ += real(value.real());
        break;
      case Kind::string:
        text(text_of(value));
        break;
      case Kind::list:
      case Kind::tuple:
        sequence(value.as<Sequence>().items, depth);
        break;
      case Kind::dict:
        object(value.as<Dict>(), depth);
        break;
      default:
        fail_value("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
    }
  }
  std::string take() { return std::move(out_); }

 private:
  static std::string real(double d) {
    return std::isnan(d) ? "NaN" : std::isinf(d) ? (d > 0 ? "Infinity" : "-Infinity") : repr_float(d);
  }

  void text(const std::string& s) {
    heap_.scans(s.size());
    out_ += '"';
    for (size_t at = 0; at < s.size();) {
      const size_t from = at;
      const char32_t c = next_code_point(s, at);
      switch (c) {
        case '"':
          out_ += "\\\"";
          continue;
        case '\\':
          out_ += "\\\\";
          continue;
        case '\n':
          out_ += "\\n";
          continue;
        case '\r':
          out_ += "\\r";
          continue;
        case '\t':
          out_ += "\\t";
          continue;
        case '\f':
          out_ += "\\f";
          continue;
        case '\b':
          out_ += "\\b";
          continue;
        default:
          break;
      }
      if (c < 0x20 || (style_.ascii && c >= 0x7F && c < 0x10000))
        out_ += fmt::format("\\u{:04x}", uint32_t(c));
      else if (style_.ascii && c >= 0x10000)
        out_ +=
            fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((uint32_t(c) - 0x10000) >> 10), 0xDC00 + (uint32_t(c) & 0x3FF));
      else
        out_.append(s, from, at - from);
    }
    out_ += '"';
  }

  void line(int depth) {
    if (!style_.pretty) return;
    out_ += '\n';
    heap_.allow(style_.indent.size() * static_cast<size_t>(depth));
    for (int i = 0; i < depth; ++i) out_ += style_.indent;
  }

  void sequence(const std::vector<Value>& items, int depth) {
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out_ += style_.item_separator;
      line(depth + 1);
      dump(items[i], depth + 1);
    }
    if (!items.empty()) line(depth);
    out_ += ']';
  }

  void key(const Value& k) {
    switch (k.kind()) {
      case Kind::string:
        text(text_of(k));
        break;
      case Kind::boolean:
        out_ += k.boolean() ? "\"true\"" : "\"false\"";
        break;
      case Kind::none:
        out_ += "\"null\"";
        break;
      case Kind::real:
        out_ += '"' + real(k.real()) + '"';
        break;
      case Kind::integer:
      case Kind::big_integer:
        out_ += '"' + str(k) + '"';
        break;
      default:
        fail_value("keys must be str, int, float, bool or None, not " + std::string(type_name(k)));
    }
  }

  void object(const Dict& dict, int depth) {
    std::vector<size_t> order;
    if (style_.sort_keys) {
      std::vector<Value> keys;
      for (const auto& item : dict.items) keys.push_back(item.first);
      order = sorted_order(heap_, keys, false);
    }
    out_ += '{';
    for (size_t i = 0; i < dict.items.size(); ++i) {
      const auto& [k, value] = dict.items[style_.sort_keys ? order[i] : i];
      if (i) out_ += style_.item_separator;
      line(depth + 1);
      key(k);
      out_ += style_.key_separator;
      dump(value, depth + 1);
    }
    if (!dict.items.empty()) line(depth);
    out_ += '}';
  }

  Heap& heap_;
  const JsonStyle& style_;
  std::string out_;
  size_t counted_ = 0;
};

}  // namespace

std::string dump_json(Heap& heap, const Value& value, const JsonStyle& style) {
  Dumper dumper(heap, style);
  dumper.dump(value, 0);
  return dumper.take();
}

}  // namespace nemotron::jinja
