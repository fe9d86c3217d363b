// Attribute and item access: methods and properties of each type, items, and what the sandbox hides.

#include "text/jinja/attributes.h"

#include <algorithm>
#include <iterator>

#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace nemotron::jinja {
namespace {

template <size_t N>
bool among(const char* const (&names)[N], const std::string& name) {
  return std::any_of(std::begin(names), std::end(names), [&](const char* n) { return name == n; });
}

// Attributes that Python objects have and the sandbox keeps from templates.
bool is_hidden(const Value& object, const std::string& name) {
  static constexpr const char* kEvery[] = {
      "__class__",  "__doc__",          "__init__",    "__new__",          "__repr__",         "__str__",
      "__eq__",     "__ne__",           "__lt__",      "__le__",           "__gt__",           "__ge__",
      "__hash__",   "__getattribute__", "__setattr__", "__delattr__",      "__dir__",          "__format__",
      "__reduce__", "__reduce_ex__",    "__sizeof__",  "__subclasshook__", "__init_subclass__"};
  static constexpr const char* kSized[] = {"__len__",  "__getitem__",    "__contains__", "__iter__",
                                           "__add__",  "__mul__",        "__rmul__",     "__mod__",
                                           "__rmod__", "__getnewargs__", "__or__",       "__reversed__"};
  static constexpr const char* kCallable[] = {
      "__call__", "__globals__",  "__code__", "__closure__", "__defaults__", "__dict__",       "__module__",
      "__name__", "__qualname__", "__self__", "__wrapped__", "__func__",     "__kwdefaults__", "__annotations__"};
  static constexpr const char* kList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  static constexpr const char* kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is(Kind::list) && among(kList, name)) return true;
  if (object.is(Kind::dict) && among(kDict, name)) return true;
  if (name.size() < 2 || name[0] != '_' || name[1] != '_') return false;
  if (object.is(Kind::name_space)) return name == "__class__";
  if (among(kEvery, name)) return true;
  if (object.is(Kind::function) || object.is(Kind::method) || object.is(Kind::macro)) return among(kCallable, name);
  return has_length(object) && among(kSized, name);
}

Value method(Heap& heap, const Value& self, const MethodEntry* entry) {
  return entry ? Value(new Method(heap, self, entry->name, entry->body)) : Value();
}

Value loop_attribute(Interpreter& in, const Value& object, const std::string& name) {
  Loop& loop = object.as<Loop>();
  const auto length = [&] { return static_cast<int64_t>(loop.length()); };
  if (name == "index") return Value(loop.index());
  if (name == "index0") return Value(loop.index0);
  if (name == "first") return Value(loop.index0 == 0);
  if (name == "last") return Value(loop.is_last());
  if (name == "length") return Value(length());
  if (name == "revindex") return Value(length() - loop.index0);
  if (name == "revindex0") return Value(length() - loop.index());
  if (name == "depth") return Value(loop.depth0 + 1);
  if (name == "depth0") return Value(loop.depth0);
  if (name == "previtem") return loop.previous_item();
  if (name == "nextitem") return loop.next_item();
  return method(in.heap(), object, find_collection_method(Kind::loop, name));
}

Value number_attribute(Interpreter& in, const Value& object, const std::string& name) {
  const Value number = positive(object);
  if (name == "real") return number;
  if (name == "imag") return number.is(Kind::real) ? Value(0.0) : Value(int64_t{0});
  if (number.is_integral() && name == "numerator") return number;
  if (number.is_integral() && name == "denominator") return Value(int64_t{1});
  return method(in.heap(), number, find_collection_method(number.is(Kind::real) ? Kind::real : Kind::integer, name));
}

Value macro_attribute(Interpreter& in, const Macro& macro, const std::string& name) {
  const MacroBody& body = macro.body;
  if (name == "name") return body.name.empty() ? Value::none() : make_string(in.heap(), body.name);
  if (name == "catch_kwargs") return Value(body.uses_kwargs);
  if (name == "catch_varargs") return Value(body.uses_varargs);
  if (name == "caller") return Value(body.uses_caller);
  if (name == "explicit_caller") return Value(body.explicit_caller);
  if (name != "arguments") return Value();
  std::vector<Value> names;
  for (const ExprPtr& p : body.parameters) names.push_back(make_string(in.heap(), static_cast<const Name&>(*p).name));
  return make_tuple(in.heap(), std::move(names));
}

Value cycler_attribute(Interpreter& in, const Value& object, const std::string& name) {
  const Cycler& cycler = object.as<Cycler>();
  if (name == "current") return cycler.items[cycler.position];
  if (name == "pos") return Value(static_cast<int64_t>(cycler.position));
  if (name == "items") return make_tuple(in.heap(), cycler.items);
  return method(in.heap(), object, find_collection_method(Kind::cycler, name));
}

// Python's getattr for what is not hidden; missing where it would raise AttributeError.
Value native_attribute(Interpreter& in, const Value& object, const std::string& name) {
  switch (object.kind()) {
    case Kind::string:
      return method(in.heap(), object, find_string_method(name));
    case Kind::boolean:
    case Kind::integer:
    case Kind::big_integer:
    case Kind::real:
      return number_attribute(in, object, name);
    case Kind::loop:
      return loop_attribute(in, object, name);
    case Kind::macro:
      return macro_attribute(in, object.as<Macro>(), name);
    case Kind::cycler:
      return cycler_attribute(in, object, name);
    case Kind::joiner:
      if (name == "sep") return object.as<Joiner>().separator;
      if (name == "used") return Value(object.as<Joiner>().used);
      return Value();
    case Kind::name_space: {
      const Value* value = object.as<Namespace>().attributes.as<Dict>().find(name);
      return value ? *value : Value();
    }
    case Kind::range: {
      const Range& r = object.as<Range>();
      if (name == "start") return Value(r.start);
      if (name == "stop") return Value(r.stop);
      if (name == "step") return Value(r.step);
      break;
    }
    case Kind::tuple:
      if (object.as<Sequence>().is_group) {
        if (name == "grouper") return object.as<Sequence>().items[0];
        if (name == "list") return object.as<Sequence>().items[1];
      }
      break;
    case Kind::function:
      if (std::string_view(object.as<Function>().name) != "dict") return Value();
      return method(in.heap(), object, find_collection_method(Kind::function, name));
    default:
      break;
  }
  return method(in.heap(), object, find_collection_method(object.kind(), name));
}

Value hidden_attribute(Interpreter& in, const Value& object, const std::string& name) {
  const std::string hint =
      "access to attribute " + repr_text(name) + " of '" + type_name(object) + "' object is unsafe.";
  return Value(new Undefined(in.heap(), hint, object, make_string(in.heap(), name), true));
}

// getattr with the sandbox's say; missing where there is no such attribute.
Value attribute_of(Interpreter& in, const Value& object, const std::string& name) {
  if (is_hidden(object, name)) return hidden_attribute(in, object, name);
  if (object.is(Kind::undefined)) object.as<Undefined>().raise();
  return native_attribute(in, object, name);
}

// object[key]; missing where Python raises TypeError or LookupError.
Value subscript(Interpreter& in, const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::undefined:
      object.as<Undefined>().raise();
    case Kind::dict: {
      const Value* value = nullptr;
      try {
        value = object.as<Dict>().find(key);
      } catch (const Failure&) {
        in.heap().work(0);  // an unhashable key is merely not there; a limit reached fails again here
      }
      return value ? *value : Value();
    }
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::range:
      return key.is_integral() ? item_at(in.heap(), object, to_index(key)) : Value();
    default:
      return Value();
  }
}

}  // namespace

Value get_own_attribute(Interpreter& in, const Value& object, const std::string& name) {
  return attribute_of(in, object, name);
}

Value get_attribute(Interpreter& in, const Value& object, const std::string& name) {
  Value value = attribute_of(in, object, name);
  if (!value.is_missing()) return value;
  if (object.is(Kind::dict)) {
    if (const Value* item = object.as<Dict>().find(name)) return *item;
  }
  return Value(new Undefined(in.heap(), "", object, make_string(in.heap(), name)));
}

Value get_item(Interpreter& in, const Value& object, const Value& key) {
  Value value = subscript(in, object, key);
  if (value.is_missing() && key.is(Kind::string)) value = attribute_of(in, object, text_of(key));
  if (!value.is_missing()) return value;
  return Value(new Undefined(in.heap(), "", object, key));
}

void set_namespace_attribute(Namespace& space, const Value& name, Value value) {
  if (name.is(Kind::string) && !text_of(name).empty() && text_of(name)[0] == '_') {
    fail(FailureKind::security, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got " +
                                    repr(name) + ". Please rename the attribute.");
  }
  space.attributes.as<Dict>().set(name, std::move(value));
}

}  // namespace nemotron::jinja
