// Filters on sequences and mappings. Those that Jinja runs item by item do so here too.

#include <algorithm>
#include <functional>
#include <iterator>

#include "text/jinja/attributes.h"
#include "text/jinja/failure.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/markup.h"
#include "text/jinja/operators.h"
#include "text/jinja/parameters.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

// Items made one at a time by a function that holds what it needs.
class Generator : public Iterator {
 public:
  Generator(Heap& heap, std::function<bool(Value&)> next) : Iterator(heap), next_(std::move(next)) {}
  void clear() override { next_ = nullptr; }
  bool next(Value& out) override {
    const Depth depth(heap());  // generators of generators
    heap().work(1);
    return next_ && next_(out);
  }

 private:
  std::function<bool(Value&)> next_;
};

Value generate(Interpreter& in, std::function<bool(Value&)> next) {
  return Value(new Generator(in.heap(), std::move(next)));
}

Value ignoring_case(Interpreter& in, const Value& value) {
  if (!value.is(Kind::string)) return value;
  in.heap().scans(text_of(value).size());
  return make_string(in.heap(), to_lower(text_of(value)));
}

// A path such as "function.name" or "t.0.k", applied to items.
class Path {
 public:
  Path(Interpreter& in, const Value& attribute, Value otherwise = Value(), bool ignore_case = false)
      : in_(&in), otherwise_(std::move(otherwise)), ignore_case_(ignore_case) {
    if (attribute.is_missing() || attribute.is_none()) return;
    if (!attribute.is(Kind::string)) {
      parts_.push_back(attribute);
      return;
    }
    const std::string& text = text_of(attribute);
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('.', begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      const bool index = !part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == part.npos;
      parts_.push_back(index ? Value(int64_t{std::stoll(part)}) : make_string(in.heap(), part));
      begin = end + 1;
    }
  }

  Value operator()(const Value& item) const {
    Value value = item;
    for (const Value& part : parts_) {
      in_->heap().work(1);
      value = get_item(*in_, value, part);
      if (value.is(Kind::undefined) && !otherwise_.is_missing() && !otherwise_.is_none()) value = otherwise_;
    }
    return ignore_case_ ? ignoring_case(*in_, value) : value;
  }

 private:
  Interpreter* in_;
  std::vector<Value> parts_;
  Value otherwise_;
  bool ignore_case_;
};

Value length(Interpreter&, const Value& subject, Arguments& arguments) {
  Parameters("length", arguments, {});
  return Value(static_cast<int64_t>(length_of(subject)));
}

Value default_value(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("default", arguments, {"default_value", "boolean"});
  if (!subject.is(Kind::undefined) && !(p.flag(1) && !truth(subject))) return subject;
  return p.has(0) ? p[0] : make_string(in.heap(), "");
}

Value list(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("list", arguments, {});
  return make_list(in.heap(), to_vector(in.heap(), subject));
}

Value items(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("items", arguments, {});
  return generate(in, [&in, subject, iterator = Value()](Value& out) mutable {
    if (subject.is(Kind::undefined)) return false;
    if (!subject.is(Kind::dict)) fail_value("Can only get item pairs from a mapping.");
    if (iterator.is_missing()) iterator = iterate(in.heap(), Value(new View(in.heap(), subject, View::Part::items)));
    return iterator.as<Iterator>().next(out);
  });
}

Value first(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("first", arguments, {});
  Value out;
  if (iterate(in.heap(), subject).as<Iterator>().next(out)) return out;
  return make_undefined(in.heap(), "No first item, sequence was empty.");
}

Value last(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("last", arguments, {});
  Value out;
  if (iterate_reversed(in.heap(), subject).as<Iterator>().next(out)) return out;
  return make_undefined(in.heap(), "No last item, sequence was empty.");
}

Value random_item(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("random", arguments, {});
  const size_t count = length_of(subject);
  if (count == 0) return make_undefined(in.heap(), "No random item, sequence was empty.");
  return get_item(in, subject, Value(static_cast<int64_t>(in.random() % count)));
}

Value reverse(Interpreter& in, const Value& subject, Arguments& arguments) {
  Parameters("reverse", arguments, {});
  if (subject.is(Kind::string)) {
    return slice(in.heap(), subject, Value::none(), Value::none(), Value(int64_t{-1}));
  }
  if (has_length(subject) && !subject.is(Kind::loop)) return iterate_reversed(in.heap(), subject);
  if (!is_iterable(subject)) fail_value("argument must be iterable");
  std::vector<Value> values = to_vector(in.heap(), subject);
  std::reverse(values.begin(), values.end());
  return make_list(in.heap(), std::move(values));
}

Value join(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("join", arguments, {"d", "attribute"});
  const Path path(in, p[1]);
  std::vector<Value> values;
  const Value iterator = iterate(in.heap(), subject);
  for (Value item; iterator.as<Iterator>().next(item);) values.push_back(path(item));
  const bool markup = in.autoescape() && (is_markup(p[0]) || std::any_of(values.begin(), values.end(), is_markup));
  const std::string separator = !p.has(0) ? "" : markup ? escaped(in.heap(), p[0]) : str(p[0]);
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t before = out.size();
    if (i) out += separator;
    if (markup)
      out += escaped(in.heap(), values[i]);
    else if (values[i].is(Kind::string))
      out += text_of(values[i]);
    else
      out += str(values[i]);
    in.heap().copies(out.size() - before);
    in.heap().allow(out.size());
  }
  return make_string(in.heap(), std::move(out), markup);
}

Value sum(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("sum", arguments, {"attribute", "start"});
  const Path path(in, p[0]);
  Value total = p.has(1) ? p[1] : Value(int64_t{0});
  if (total.is(Kind::string)) fail_value("sum() can't sum strings [use ''.join(seq) instead]");
  const Value iterator = iterate(in.heap(), subject);
  for (Value item; iterator.as<Iterator>().next(item);) total = binary(in.heap(), BinaryOp::add, total, path(item));
  return total;
}

template <Order Better>
Value extreme(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("min or max", arguments, {"case_sensitive", "attribute"});
  const Path path(in, p[1], Value(), !p.flag(0));
  const Value iterator = iterate(in.heap(), subject);
  Value best, best_key;
  for (Value item; iterator.as<Iterator>().next(item);) {
    Value key = path(item);
    if (!best.is_missing() && !ordered(Better, key, best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best.is_missing() ? make_undefined(in.heap(), "No aggregated item, sequence was empty.") : best;
}

Value unique(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("unique", arguments, {"case_sensitive", "attribute"});
  const Path path(in, p[1], Value(), !p.flag(0));
  return generate(in, [&in, path, subject, iterator = Value(), seen = make_dict(in.heap())](Value& out) mutable {
    if (iterator.is_missing()) iterator = iterate(in.heap(), subject);
    while (iterator.as<Iterator>().next(out)) {
      const Value key = path(out);
      if (seen.as<Dict>().find(key)) continue;
      seen.as<Dict>().set(key, Value::none());
      return true;
    }
    return false;
  });
}

std::vector<Value> in_order(const std::vector<Value>& values, const std::vector<size_t>& order) {
  std::vector<Value> out;
  out.reserve(order.size());
  for (const size_t i : order) out.push_back(values[i]);
  return out;
}

Value sort(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  // Several attributes, separated by commas. A key is a list even for one: equal parts are then never ordered.
  std::vector<Path> paths;
  if (p[2].is(Kind::string)) {
    const std::string& text = text_of(p[2]);
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      paths.emplace_back(in, make_string(in.heap(), text.substr(begin, end - begin)), Value(), !p.flag(1));
      begin = end + 1;
    }
  } else {
    paths.emplace_back(in, p[2], Value(), !p.flag(1));
  }
  const std::vector<Value> values = to_vector(in.heap(), subject);
  std::vector<Value> keys;
  for (const Value& value : values) {
    std::vector<Value> key;
    for (const Path& path : paths) key.push_back(path(value));
    keys.push_back(make_list(in.heap(), std::move(key)));
  }
  return make_list(in.heap(), in_order(values, sorted_order(in.heap(), keys, p.flag(0))));
}

Value dict_sort(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = p.has(1) ? str(p[1]) : "key";
  if (by != "key" && by != "value") fail_value("You can only sort by either \"key\" or \"value\"");
  if (subject.is(Kind::undefined)) subject.as<Undefined>().raise();
  if (!subject.is(Kind::dict)) fail_value("'" + std::string(type_name(subject)) + "' object has no attribute 'items'");
  std::vector<Value> pairs, keys;
  for (const auto& [key, value] : subject.as<Dict>().items) {
    pairs.push_back(make_tuple(in.heap(), {key, value}));
    const Value& by_what = by == "key" ? key : value;
    keys.push_back(p.flag(0) ? by_what : ignoring_case(in, by_what));
  }
  return make_list(in.heap(), in_order(pairs, sorted_order(in.heap(), keys, p.flag(2))));
}

Value group_by(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const Path key_of(in, p[0], p[1], !p.flag(2)), name_of(in, p[0], p[1]);
  const std::vector<Value> values = to_vector(in.heap(), subject);
  std::vector<Value> keys;
  for (const Value& value : values) keys.push_back(key_of(value));
  const std::vector<size_t> order = sorted_order(in.heap(), keys, false);
  std::vector<Value> groups;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    std::vector<Value> members;
    for (; end < order.size() && equal(keys[order[begin]], keys[order[end]]); ++end)
      members.push_back(values[order[end]]);
    if (members.empty()) members.push_back(values[order[end++]]);  // a key that does not equal itself (nan)
    const Value name = p.flag(2) ? keys[order[begin]] : name_of(members[0]);
    groups.push_back(make_tuple(in.heap(), {name, make_list(in.heap(), std::move(members))}));
    groups.back().as<Sequence>().is_group = true;
  }
  return make_list(in.heap(), std::move(groups));
}

Value batch(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("batch", arguments, {"linecount", "fill_with"}, 1);
  const int64_t size = p.integer(0);
  const Value fill = p[1];
  return generate(in, [&in, subject, size, fill, iterator = Value(), ahead = Value()](Value& out) mutable {
    if (iterator.is_missing()) {
      iterator = iterate(in.heap(), subject);
      iterator.as<Iterator>().next(ahead);
    }
    if (ahead.is_missing()) return false;
    std::vector<Value> row;
    // The first item goes in whatever the size is; so Jinja's loop does for a size of 0 or less.
    do {
      row.push_back(std::move(ahead));
      ahead = Value();
      if (!iterator.as<Iterator>().next(ahead)) ahead = Value();
    } while (!ahead.is_missing() && static_cast<int64_t>(row.size()) != size);
    if (ahead.is_missing() && !fill.is_missing() && !fill.is_none()) {
      in.heap().allow(static_cast<size_t>(std::max<int64_t>(0, size)) * sizeof(Value));
      while (static_cast<int64_t>(row.size()) < size) row.push_back(fill);
    }
    out = make_list(in.heap(), std::move(row));
    return true;
  });
}

Value slices(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("slice", arguments, {"slices", "fill_with"}, 1);
  const int64_t count = p.integer(0);
  const Value fill = p[1];
  return generate(in, [&in, subject, count, fill, values = std::vector<Value>(), at = int64_t{-1},
                       begin = size_t{0}](Value& out) mutable {
    if (at < 0) {
      values = to_vector(in.heap(), subject);
      if (count == 0) fail_value("integer division or modulo by zero");
      at = 0;
    }
    if (at >= count) return false;
    const auto size = static_cast<int64_t>(values.size());
    const bool extra = at < size % count;
    const size_t end = begin + static_cast<size_t>(size / count) + extra;
    std::vector<Value> part(values.begin() + static_cast<ptrdiff_t>(begin),
                            values.begin() + static_cast<ptrdiff_t>(end));
    if (!fill.is_missing() && !fill.is_none() && !extra) part.push_back(fill);
    begin = end;
    ++at;
    out = make_list(in.heap(), std::move(part));
    return true;
  });
}

Value attribute(Interpreter& in, const Value& subject, Arguments& arguments) {
  const Parameters p("attr", arguments, {"name"}, 1);
  const Value value = get_own_attribute(in, subject, p.text(0));
  return value.is_missing() ? Value(new Undefined(in.heap(), "", subject, p[0])) : value;
}

// What map does to each item: another filter, or a look-up of an attribute.
std::function<Value(const Value&)> mapping(Interpreter& in, Arguments arguments) {
  const auto named = [&](const char* name) {
    return std::find_if(arguments.named.begin(), arguments.named.end(), [&](const auto& a) { return a.first == name; });
  };
  if (arguments.positional.empty() && named("attribute") != arguments.named.end()) {
    Value attribute, otherwise;
    for (const auto& [name, value] : arguments.named) {
      if (name == "attribute")
        attribute = value;
      else if (name == "default")
        otherwise = value;
      else
        fail_value("Unexpected keyword argument " + repr_text(name));
    }
    return Path(in, attribute, otherwise);
  }
  if (arguments.positional.empty()) fail_value("map requires a filter argument");
  const std::string name = str(arguments.positional[0]);
  arguments.positional.erase(arguments.positional.begin());
  return [&in, name, arguments](const Value& item) {
    Arguments copy = arguments;
    return in.apply_filter(name, item, copy);
  };
}

Value map(Interpreter& in, const Value& subject, Arguments& arguments) {
  using Function = std::function<Value(const Value&)>;
  return generate(in, [&in, subject, arguments, function = Function(), iterator = Value()](Value& out) mutable {
    if (iterator.is_missing()) {
      if (!truth(subject)) return false;
      function = mapping(in, arguments);
      iterator = iterate(in.heap(), subject);
    }
    Value item;
    if (!iterator.as<Iterator>().next(item)) return false;
    out = function(item);
    return true;
  });
}

// What select and its kin ask of each item: a test, or its truth.
std::function<bool(const Value&)> condition(Interpreter& in, Arguments arguments, bool of_attribute) {
  Path path(in, Value());
  if (of_attribute) {
    if (arguments.positional.empty()) fail_value("Missing parameter for attribute name");
    path = Path(in, arguments.positional[0]);
    arguments.positional.erase(arguments.positional.begin());
  }
  if (arguments.positional.empty()) return [path](const Value& item) { return truth(path(item)); };
  const std::string name = str(arguments.positional[0]);
  arguments.positional.erase(arguments.positional.begin());
  return [&in, path, name, arguments](const Value& item) {
    Arguments copy = arguments;
    return in.apply_test(name, path(item), copy);
  };
}

template <bool Wanted, bool OfAttribute>
Value select(Interpreter& in, const Value& subject, Arguments& arguments) {
  using Function = std::function<bool(const Value&)>;
  return generate(in, [&in, subject, arguments, holds = Function(), iterator = Value()](Value& out) mutable {
    if (iterator.is_missing()) {
      if (!truth(subject)) return false;
      holds = condition(in, arguments, OfAttribute);
      iterator = iterate(in.heap(), subject);
    }
    while (iterator.as<Iterator>().next(out)) {
      if (holds(out) == Wanted) return true;
    }
    return false;
  });
}

constexpr FilterEntry kFilters[] = {
    {"attr", attribute},
    {"batch", batch},
    {"count", length},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dict_sort},
    {"first", first},
    {"groupby", group_by},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length},
    {"list", list},
    {"map", map},
    {"max", extreme<Order::greater>},
    {"min", extreme<Order::less>},
    {"random", random_item},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"reverse", reverse},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"slice", slices},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

}  // namespace

MethodBody find_sequence_filter(std::string_view name) {
  const auto* entry =
      std::lower_bound(std::begin(kFilters), std::end(kFilters), name,
                       [](const FilterEntry& f, std::string_view n) { return std::string_view(f.name) < n; });
  return entry != std::end(kFilters) && entry->name == name ? entry->body : nullptr;
}

}  // namespace nemotron::jinja
