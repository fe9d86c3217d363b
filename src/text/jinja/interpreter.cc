// Statements: control flow, scopes, captured output, macros and recursive loops.

#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/failure.h"
#include "text/jinja/filters.h"
#include "text/jinja/globals.h"
#include "text/jinja/interpreter_guards.h"
#include "text/jinja/loop.h"
#include "text/jinja/markup.h"
#include "text/jinja/print.h"
#include "text/jinja/tests.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {

Interpreter::Interpreter(const SyntaxTree& tree, const Limits& limits, const std::tm& now)
    : tree_(tree), heap_(limits), now_(now), constants_(tree.constant_count) {}

std::string Interpreter::render(const Json& context) {
  std::string out;
  out_ = &out;
  context_ = from_json(heap_, context);
  exported_ = make_dict(heap_);
  frame_ = Value(new Activation(heap_, tree_.slot_count, Value()));
  enter(tree_.loads);
  run(tree_.body);
  // Only a lone surrogate from an escape in the template can be in the way.
  if (find_invalid_utf8(out) != out.size())
    fail_value("'utf-8' codec can't encode a lone surrogate: surrogates not allowed");
  return out;
}

void Interpreter::write(std::string_view text) {
  heap_.take(text.size());
  out_->append(text);
}

void Interpreter::write_value(const Value& value) {
  if (autoescape_)
    write(escaped(heap_, value));
  else if (value.is(Kind::string))
    write(text_of(value));
  else
    write(str(value));
}

// What a filter block or call block gives must be text already.
void Interpreter::write_text_result(const Value& value) {
  if (!value.is(Kind::string)) {
    fail_value("sequence item: expected str instance, " + std::string(type_name(value)) + " found");
  }
  write(text_of(value));
}

Value Interpreter::captured(std::string text) { return make_string(heap_, std::move(text), autoescape_); }

void Interpreter::enter(const ScopeLoads& loads) {
  heap_.work(1 + loads.size());
  for (const SlotLoad& load : loads) {
    Value value;
    if (load.from == SlotLoad::From::outer)
      value = slot(load.outer);
    else if (load.from == SlotLoad::From::context)
      value = resolve(load.name);
    frame().slots[load.slot] = std::move(value);
  }
}

Value Interpreter::resolve(const std::string& name) {
  for (size_t i = overlays_.size(); i-- > 0;) {
    if (const Value* value = overlays_[i].as<Dict>().find(name)) return *value;
  }
  if (const Value* value = exported_.as<Dict>().find(name)) return *value;
  if (const Value* value = context_.as<Dict>().find(name)) return *value;
  for (const auto& [known, value] : globals_) {
    if (known == name) return value;
  }
  Value global = make_global(heap_, name);
  if (!global.is_missing()) globals_.emplace_back(name, global);
  return global;
}

Value& Interpreter::slot(SlotRef ref) {
  Activation* activation = &frame();
  for (; ref.hops > 0; --ref.hops) activation = &activation->parent.as<Activation>();
  return activation->slots[ref.slot];
}

void Interpreter::assign(const Expr& target, Value value) {
  if (target.kind == ExprKind::name) {
    const auto& name = static_cast<const Name&>(target);
    if (name.exported) exported_.as<Dict>().set(make_string(heap_, name.name), value);
    slot(name.slot) = std::move(value);
    return;
  }
  position_ = target.offset;
  if (target.kind == ExprKind::namespace_ref) {
    const auto& ref = static_cast<const NamespaceRef&>(target);
    set_namespace_attribute(slot(ref.slot).as<Namespace>(), make_string(heap_, ref.attribute), std::move(value));
    return;
  }
  const auto& targets = static_cast<const TupleLiteral&>(target).items;
  if (!is_iterable(value)) fail_value("cannot unpack non-iterable " + std::string(type_name(value)) + " object");
  const Value iterator = iterate(heap_, value);
  std::vector<Value> items;
  for (Value item; items.size() <= targets.size() && iterator.as<Iterator>().next(item);) items.push_back(item);
  const std::string expected = std::to_string(targets.size());
  if (items.size() > targets.size()) fail_value("too many values to unpack (expected " + expected + ")");
  if (items.size() < targets.size()) {
    fail_value("not enough values to unpack (expected " + expected + ", got " + std::to_string(items.size()) + ")");
  }
  for (size_t i = 0; i < items.size(); ++i) assign(*targets[i], std::move(items[i]));
}

void Interpreter::check_namespaces(const Expr& target) {
  if (target.kind == ExprKind::tuple) {
    for (const ExprPtr& item : static_cast<const TupleLiteral&>(target).items) check_namespaces(*item);
  } else if (target.kind == ExprKind::namespace_ref) {
    position_ = target.offset;
    if (!slot(static_cast<const NamespaceRef&>(target).slot).is(Kind::name_space)) {
      fail_value("cannot assign attribute on non-namespace object");
    }
  }
}

Interpreter::Flow Interpreter::run(const Body& body) {
  for (const StatementPtr& statement : body) {
    const Flow flow = run(*statement);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run(const Statement& s) {
  const Depth depth(heap_);
  heap_.work(1);
  position_ = s.offset;
  switch (s.kind) {
    case StatementKind::text:
      write(static_cast<const Text&>(s).text);
      break;
    case StatementKind::print:
      write_value(evaluate(*static_cast<const Print&>(s).value));
      break;
    case StatementKind::condition:
      return run_condition(static_cast<const Condition&>(s));
    case StatementKind::loop:
      return run_for(static_cast<const For&>(s));
    case StatementKind::macro: {
      const auto& m = static_cast<const MacroStatement&>(s);
      assign(*m.target, Value(new Macro(heap_, m.macro, frame_)));
      break;
    }
    case StatementKind::call_block:
      run_call_block(static_cast<const CallBlock&>(s));
      break;
    case StatementKind::filter_block:
      return run_filter_block(static_cast<const FilterBlock&>(s));
    case StatementKind::set:
      run_set(static_cast<const Set&>(s));
      break;
    case StatementKind::set_block:
      return run_set_block(static_cast<const SetBlock&>(s));
    case StatementKind::with:
      return run_with(static_cast<const With&>(s));
    case StatementKind::autoescape:
      return run_autoescape(static_cast<const Autoescape&>(s));
    case StatementKind::block:
      run_block(static_cast<const Block&>(s));
      break;
    case StatementKind::load:
      evaluate(*static_cast<const Load&>(s).source);
      fail_value("no loader for this environment specified");
    case StatementKind::break_:
      return Flow::leave;
    case StatementKind::continue_:
      return Flow::next;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_condition(const Condition& s) {
  for (const auto& [test, body] : s.branches) {
    if (truth(evaluate(*test))) return run(body);
  }
  return run(s.otherwise);
}

void Interpreter::run_set(const Set& s) {
  check_namespaces(*s.target);
  assign(*s.target, evaluate(*s.value));
}

Interpreter::Flow Interpreter::run_set_block(const SetBlock& s) {
  Capture capture(*this);
  enter(s.loads);
  const Flow flow = run(s.body);
  Value text = captured(capture.finish());
  if (flow != Flow::normal) return flow;  // the loop is left, and what was captured is lost
  if (s.filter) {
    text = evaluate_filter(static_cast<const Filter&>(*s.filter), &text);
    if (autoescape_ && !is_markup(text)) text = make_string(heap_, str(text), true);
  }
  assign(*s.target, std::move(text));
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterBlock& s) {
  Capture capture(*this);
  enter(s.loads);
  const Flow flow = run(s.body);
  const Value text = captured(capture.finish());
  if (flow != Flow::normal) return flow;
  write_text_result(evaluate_filter(static_cast<const Filter&>(*s.filter), &text));
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_with(const With& s) {
  enter(s.loads);
  for (const auto& [target, value] : s.assignments) assign(*target, evaluate(*value));
  return run(s.body);
}

Interpreter::Flow Interpreter::run_autoescape(const Autoescape& s) {
  enter(s.loads);
  const bool outer = autoescape_;
  autoescape_ = truth(evaluate(*s.enabled));
  const Flow flow = run(s.body);
  autoescape_ = outer;
  return flow;
}

void Interpreter::run_block(const Block& s) {
  if (s.required) fail_value("Required block '" + s.name + "' not found");
  const bool scoped = s.scoped;
  if (scoped) {
    const Value overlay = make_dict(heap_);
    for (const auto& [name, ref] : s.visible) {
      if (!slot(ref).is_missing()) overlay.as<Dict>().set(make_string(heap_, name), slot(ref));
    }
    overlays_.push_back(overlay);
  }
  {
    const Frame frame(*this, s.slot_count, Value());
    enter(s.loads);
    run(s.body);
  }
  if (scoped) overlays_.pop_back();
}

// The items for which a loop's `if` holds, tested one by one as the loop asks for them.
class Interpreter::ConditionIterator : public Iterator {
 public:
  ConditionIterator(Interpreter& in, const For& statement, const Value& items)
      : Iterator(in.heap_), in_(in), statement_(statement), items_(iterate(in.heap_, items)), frame_(in.frame_) {}
  void clear() override { items_ = frame_ = Value(); }
  bool next(Value& out) override {
    const Depth depth(in_.heap_);
    while (items_.as<Iterator>().next(out)) {
      in_.heap_.work(1);
      std::swap(in_.frame_, frame_);
      in_.enter(statement_.test_loads);
      in_.assign(*statement_.test_target, out);
      const bool holds = truth(in_.evaluate(*statement_.test));
      std::swap(in_.frame_, frame_);
      if (holds) return true;
    }
    return false;
  }

 private:
  Interpreter& in_;
  const For& statement_;
  Value items_, frame_;
};

Interpreter::Flow Interpreter::run_for(const For& s) {
  const Value items = evaluate(*s.items);
  position_ = s.offset;
  if (!s.recursive) return run_loop(s, items, Value(), 0);
  write_text_result(run_recursive(s, items, frame_, 0));
  return Flow::normal;
}

// The flow is that of the else branch, which may leave a loop further out.
Interpreter::Flow Interpreter::run_loop(const For& s, const Value& items, const Value& closure, int64_t depth0) {
  const Value iterated = s.test ? Value(new ConditionIterator(*this, s, items)) : items;
  const Value loop(new Loop(heap_, iterated, &s, closure, depth0));
  bool any = false;
  for (Value item; loop.as<Loop>().next(item);) {
    heap_.work(1);
    frame().slots[s.loop_slot] = loop;
    assign(*s.target, std::move(item));
    enter(s.body_loads);
    const Flow flow = run(s.body);
    if (flow == Flow::leave) break;
    // Jinja notes that the loop was not empty at the end of the body, which `continue` and `break` skip.
    if (flow == Flow::normal) any = true;
    position_ = s.offset;
  }
  frame().slots[s.loop_slot] = Value();
  if (any || s.otherwise.empty()) return Flow::normal;
  enter(s.otherwise_loads);
  return run(s.otherwise);
}

Value Interpreter::run_recursive(const For& s, const Value& items, const Value& closure, int64_t depth0) {
  const Frame frame(*this, s.slot_count, closure);
  Capture capture(*this);
  run_loop(s, items, closure, depth0);
  return captured(capture.finish());
}

void Interpreter::run_call_block(const CallBlock& s) {
  const Value caller(new Macro(heap_, s.macro, frame_));
  if (!s.call) {
    Arguments none;
    write_text_result(call(caller, none));
    return;
  }
  write_text_result(evaluate_call(static_cast<const Call&>(*s.call), &caller));
}

// Parameters, then caller, kwargs and varargs, from what the call gave.
void Interpreter::bind_macro(const MacroBody& m, Arguments& arguments) {
  std::vector<Value>& slots = frame().slots;
  const auto take_named = [&](const std::string& name) {
    heap_.work(1 + arguments.named.size() / 8);
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& named) { return named.first == name; });
    if (found == arguments.named.end()) return Value();
    Value value = std::move(found->second);
    arguments.named.erase(found);
    return value;
  };
  const size_t given = std::min(arguments.positional.size(), m.parameters.size());
  bool found_caller = given == m.parameters.size() && m.explicit_caller;
  for (size_t i = 0; i < m.parameters.size(); ++i) {
    const auto& parameter = static_cast<const Name&>(*m.parameters[i]);
    slots[parameter.slot.slot] = i < given ? arguments.positional[i] : take_named(parameter.name);
    found_caller = found_caller || (i >= given && parameter.name == "caller");
  }
  if (m.uses_caller && !m.explicit_caller && !found_caller) {
    Value caller = take_named("caller");
    if (caller.is_missing() || caller.is_none()) caller = make_undefined(heap_, "No caller defined");
    slots[m.caller_slot] = std::move(caller);
  }
  if (m.uses_kwargs) {
    const Value kwargs = make_dict(heap_);
    for (auto& [name, value] : arguments.named) kwargs.as<Dict>().set(make_string(heap_, name), std::move(value));
    slots[m.kwargs_slot] = kwargs;
  } else if (!arguments.named.empty()) {
    const std::string& name = arguments.named[0].first;
    fail_value("macro " + repr_text(m.name) + " takes no keyword argument " + repr_text(name));
  }
  if (m.uses_varargs) {
    slots[m.varargs_slot] =
        make_tuple(heap_, {arguments.positional.begin() + static_cast<ptrdiff_t>(given), arguments.positional.end()});
  } else if (arguments.positional.size() > m.parameters.size()) {
    fail_value("macro " + repr_text(m.name) + " takes not more than " + std::to_string(m.parameters.size()) +
               " argument(s)");
  }
}

Value Interpreter::call_macro(const Macro& macro, Arguments& arguments) {
  const MacroBody& m = macro.body;
  const Frame frame_guard(*this, m.slot_count, macro.closure);
  bind_macro(m, arguments);
  enter(m.loads);
  const size_t required = m.parameters.size() - m.defaults.size();
  for (size_t i = 0; i < m.parameters.size(); ++i) {
    const auto& parameter = static_cast<const Name&>(*m.parameters[i]);
    if (!slot(parameter.slot).is_missing()) continue;
    Value value = i >= required ? evaluate(*m.defaults[i - required])
                                : make_undefined(heap_, "parameter " + repr_text(parameter.name) + " was not provided");
    slot(parameter.slot) = std::move(value);
  }
  Capture capture(*this);
  run(m.body);
  return captured(capture.finish());
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
  const uint32_t position = position_;
  heap_.work(1);
  Value result;
  switch (callee.kind()) {
    case Kind::macro:
      result = call_macro(callee.as<Macro>(), arguments);
      break;
    case Kind::function:
      result = callee.as<Function>().body(*this, arguments);
      break;
    case Kind::method:
      result = callee.as<Method>().body(*this, callee.as<Method>().self, arguments);
      break;
    case Kind::joiner:
      result = call_joiner(*this, callee.as<Joiner>(), arguments);
      break;
    case Kind::undefined:
      callee.as<Undefined>().raise();
    case Kind::loop: {
      const Loop& loop = callee.as<Loop>();
      if (!loop.statement->recursive) {
        fail_value("The loop must have the 'recursive' marker to be called recursively.");
      }
      if (arguments.positional.size() != 1 || !arguments.named.empty()) {
        fail_value("a recursive loop takes exactly one argument");
      }
      result = run_recursive(*loop.statement, arguments.positional[0], loop.closure, loop.depth0 + 1);
      break;
    }
    default:
      fail_value("'" + std::string(type_name(callee)) + "' object is not callable");
  }
  position_ = position;
  return result;
}

Value Interpreter::apply_filter(const std::string& name, const Value& subject, Arguments& arguments) {
  const MethodBody body = find_filter(name);
  if (!body) fail_value("No filter named " + repr_text(name) + ".");
  heap_.work(1);
  return body(*this, subject, arguments);
}

bool Interpreter::apply_test(const std::string& name, const Value& subject, Arguments& arguments) {
  const TestBody body = find_test(name);
  if (!body) fail_value("No test named " + repr_text(name) + ".");
  heap_.work(1);
  return body(*this, subject, arguments);
}

uint64_t Interpreter::random() {
  random_state_ = random_state_ * 6364136223846793005u + 1442695040888963407u;
  return random_state_ >> 33;
}

}  // namespace nemotron::jinja
