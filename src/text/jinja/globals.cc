// The global functions of templates.

#include "text/jinja/globals.h"

#include <clocale>
#include <cstring>
#include <ctime>

#include "text/jinja/attributes.h"
#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/parameters.h"
#include "text/jinja/print.h"

namespace nemotron::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // Jinja's sandbox allows no more

Value range(Interpreter& in, Arguments& arguments) {
  const Parameters p("range", arguments, {"start", "stop", "step"}, 1, true);
  for (size_t i = 0; i < 3; ++i) {
    if (p[i].is(Kind::big_integer))
      fail_value("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  const int64_t step = p.integer(2, 1);
  if (step == 0) fail_value("range() arg 3 must not be zero");
  Range* made =
      p.has(1) ? new Range(in.heap(), p.integer(0), p.integer(1), step) : new Range(in.heap(), 0, p.integer(0), 1);
  const Value out(made);
  if (made->size() > kMaxRange) fail_value("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  return out;
}

// dict(pairs or mapping, **named)
Value dict(Interpreter& in, Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    fail_value("dict expected at most 1 argument, got " + std::to_string(arguments.positional.size()));
  }
  const Value out = make_dict(in.heap());
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    const Value pairs = from.is(Kind::dict) ? Value(new View(in.heap(), from, View::Part::items)) : from;
    const Value iterator = iterate(in.heap(), pairs);
    size_t count = 0;
    for (Value pair; iterator.as<Iterator>().next(pair); ++count) {
      if (!is_iterable(pair)) {
        fail_value("cannot convert dictionary update sequence element #" + std::to_string(count) + " to a sequence");
      }
      const std::vector<Value> both = to_vector(in.heap(), pair);
      if (both.size() != 2) {
        fail_value("dictionary update sequence element #" + std::to_string(count) + " has length " +
                   std::to_string(both.size()) + "; 2 is required");
      }
      out.as<Dict>().set(both[0], both[1]);
    }
  }
  for (auto& [name, value] : arguments.named) out.as<Dict>().set(make_string(in.heap(), name), value);
  return out;
}

Value name_space(Interpreter& in, Arguments& arguments) {
  const Value attributes = dict(in, arguments);
  const Value out(new Namespace(in.heap(), make_dict(in.heap())));
  for (const auto& [name, value] : attributes.as<Dict>().items) {
    set_namespace_attribute(out.as<Namespace>(), name, value);
  }
  return out;
}

Value cycler(Interpreter& in, Arguments& arguments) {
  if (!arguments.named.empty()) fail_value("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) fail_value("at least one item has to be provided");
  return Value(new Cycler(in.heap(), arguments.positional));
}

Value joiner(Interpreter& in, Arguments& arguments) {
  const Parameters p("joiner", arguments, {"sep"});
  return Value(new Joiner(in.heap(), p.has(0) ? p[0] : make_string(in.heap(), ", ")));
}

Value raise_exception(Interpreter&, Arguments& arguments) {
  const Parameters p("raise_exception", arguments, {"message"}, 1);
  fail(FailureKind::raise, str(p[0]));
}

Value lipsum(Interpreter&, Arguments&) { fail_value("lipsum() is not supported: it gives random text"); }

// The parts of a format that Python resolves itself: a time without microseconds and without a zone.
std::string without_python_directives(const std::string& format) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    const char directive = format[++i];
    if (directive == 'f')
      out += "000000";
    else if (directive != 'z' && directive != 'Z')
      (out += '%') += directive;
  }
  return out;
}

Value strftime_now(Interpreter& in, Arguments& arguments) {
  static const locale_t kEnglish = newlocale(LC_ALL_MASK, "C", nullptr);
  const Parameters p("strftime_now", arguments, {"format"}, 1);
  const std::string& asked = p.text(0);
  if (asked.find('\0') != asked.npos) fail_value("embedded null character");
  in.heap().scans(asked.size());
  in.heap().take(asked.size());
  in.heap().give_back(asked.size());
  const std::string format = without_python_directives(asked);
  if (format.empty()) return make_string(in.heap(), "");
  std::string out(1024 + 8 * format.size(), '\0');
  // A width in the format can ask for more than any date needs; it then gives nothing.
  out.resize(strftime_l(out.data(), out.size(), format.c_str(), &in.now(), kEnglish));
  return make_string(in.heap(), std::move(out));
}

struct GlobalEntry {
  const char* name;
  FunctionBody body;
};

constexpr GlobalEntry kGlobals[] = {
    {"cycler", cycler},        {"dict", dict},
    {"joiner", joiner},        {"lipsum", lipsum},
    {"namespace", name_space}, {"raise_exception", raise_exception},
    {"range", range},          {"strftime_now", strftime_now},
};

}  // namespace

Value make_global(Heap& heap, const std::string& name) {
  for (const GlobalEntry& global : kGlobals) {
    if (name == global.name) return Value(new Function(heap, global.name, global.body));
  }
  return Value();
}

Value call_joiner(Interpreter& in, Joiner& joiner, Arguments& arguments) {
  Parameters("joiner", arguments, {});
  if (joiner.used) return joiner.separator;
  joiner.used = true;
  return make_string(in.heap(), "");
}

}  // namespace nemotron::jinja
