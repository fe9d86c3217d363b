// Expressions: the interpreter's half that gives values.

#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/interpreter_guards.h"
#include "text/jinja/markup.h"
#include "text/jinja/print.h"

namespace nemotron::jinja {

Value Interpreter::evaluate(const Expr& e) {
  const Depth depth(heap_);
  heap_.work(1);
  switch (e.kind) {
    case ExprKind::constant:
      return evaluate_constant(static_cast<const Constant&>(e));
    case ExprKind::name:
      return evaluate_name(static_cast<const Name&>(e));
    case ExprKind::list:
      return make_list(heap_, evaluate_all(static_cast<const ListLiteral&>(e).items));
    case ExprKind::tuple:
      return make_tuple(heap_, evaluate_all(static_cast<const TupleLiteral&>(e).items));
    case ExprKind::dict:
      return evaluate_dict(static_cast<const DictLiteral&>(e));
    case ExprKind::unary:
      return evaluate_unary(static_cast<const Unary&>(e));
    case ExprKind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      const Value left = evaluate(*b.left), right = evaluate(*b.right);
      position_ = e.offset;
      return binary(heap_, b.op, left, right);
    }
    case ExprKind::logical: {
      const auto& l = static_cast<const Logical&>(e);
      Value left = evaluate(*l.left);
      return truth(left) == l.is_and ? evaluate(*l.right) : left;
    }
    case ExprKind::compare:
      return evaluate_compare(static_cast<const Compare&>(e));
    case ExprKind::concat:
      return evaluate_concat(static_cast<const Concat&>(e));
    case ExprKind::conditional:
      return evaluate_conditional(static_cast<const Conditional&>(e));
    case ExprKind::attribute: {
      const auto& a = static_cast<const Attribute&>(e);
      const Value object = evaluate(*a.object);
      position_ = e.offset;
      return get_attribute(*this, object, a.name);
    }
    case ExprKind::item:
      return evaluate_item(static_cast<const Item&>(e));
    case ExprKind::call:
      return evaluate_call(static_cast<const Call&>(e), nullptr);
    case ExprKind::filter:
      return evaluate_filter(static_cast<const Filter&>(e), nullptr);
    case ExprKind::test:
      return evaluate_test(static_cast<const Test&>(e));
    case ExprKind::namespace_ref:
    case ExprKind::slice:
      break;  // parts of a target and of an item; never evaluated alone
  }
  return Value::none();
}

Value Interpreter::evaluate_constant(const Constant& e) {
  Value& made = constants_[e.index];
  if (!made.is_missing()) return made;
  if (const auto* b = std::get_if<bool>(&e.value))
    made = Value(*b);
  else if (const auto* i = std::get_if<int64_t>(&e.value))
    made = Value(*i);
  else if (const auto* big = std::get_if<BigInt>(&e.value))
    made = make_integer(heap_, *big);
  else if (const auto* d = std::get_if<double>(&e.value))
    made = Value(*d);
  else if (const auto* s = std::get_if<std::string>(&e.value))
    made = make_string(heap_, *s);
  else
    made = Value::none();
  return made;
}

Value Interpreter::evaluate_name(const Name& e) {
  const Value& value = slot(e.slot);
  if (!value.is_missing()) return value;
  return Value(new Undefined(heap_, "", Value(), make_string(heap_, e.name)));
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExprPtr>& items) {
  std::vector<Value> out;
  out.reserve(items.size());
  for (const ExprPtr& item : items) out.push_back(evaluate(*item));
  return out;
}

Value Interpreter::evaluate_dict(const DictLiteral& e) {
  const Value dict = make_dict(heap_);
  for (const auto& [key, value] : e.items) {
    const Value k = evaluate(*key);
    Value v = evaluate(*value);
    position_ = e.offset;
    dict.as<Dict>().set(k, std::move(v));
  }
  return dict;
}

Value Interpreter::evaluate_unary(const Unary& e) {
  const Value operand = evaluate(*e.operand);
  position_ = e.offset;
  if (e.op == UnaryOp::logical_not) return Value(!truth(operand));
  return e.op == UnaryOp::negative ? negate(heap_, operand) : positive(operand);
}

namespace {

bool holds(CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::equal:
      return equal(left, right);
    case CompareOp::not_equal:
      return !equal(left, right);
    case CompareOp::less:
      return ordered(Order::less, left, right);
    case CompareOp::less_equal:
      return ordered(Order::less_equal, left, right);
    case CompareOp::greater:
      return ordered(Order::greater, left, right);
    case CompareOp::greater_equal:
      return ordered(Order::greater_equal, left, right);
    case CompareOp::in:
      return contains(right, left);
    case CompareOp::not_in:
      return !contains(right, left);
  }
  return false;
}

}  // namespace

Value Interpreter::evaluate_compare(const Compare& e) {
  Value left = evaluate(*e.first);
  for (const auto& [op, operand] : e.rest) {
    Value right = evaluate(*operand);
    position_ = e.offset;
    if (!holds(op, left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_concat(const Concat& e) {
  const std::vector<Value> parts = evaluate_all(e.items);
  position_ = e.offset;
  const bool markup = autoescape_ && std::any_of(parts.begin(), parts.end(), is_markup);
  std::string out;
  for (const Value& part : parts) {
    if (markup)
      out += escaped(heap_, part);
    else if (part.is(Kind::string))
      out += text_of(part);
    else
      out += str(part);
    heap_.allow(out.size());
  }
  return make_string(heap_, std::move(out), markup);
}

Value Interpreter::evaluate_conditional(const Conditional& e) {
  if (truth(evaluate(*e.test))) return evaluate(*e.then);
  if (e.otherwise) return evaluate(*e.otherwise);
  return make_undefined(heap_, "the inline if-expression evaluated to false and no else section was defined.");
}

Value Interpreter::evaluate_item(const Item& e) {
  const Value object = evaluate(*e.object);
  if (e.index->kind == ExprKind::slice) {
    const auto& s = static_cast<const SliceExpr&>(*e.index);
    const Value start = evaluate_maybe(s.start), stop = evaluate_maybe(s.stop), step = evaluate_maybe(s.step);
    position_ = e.offset;
    return slice(heap_, object, start, stop, step);
  }
  const Value index = evaluate(*e.index);
  position_ = e.offset;
  return get_item(*this, object, index);
}

Arguments Interpreter::evaluate_arguments(const CallArguments& arguments) {
  Arguments out;
  out.positional = evaluate_all(arguments.positional);
  if (arguments.more_positional) {
    const Value more = evaluate(*arguments.more_positional);
    if (!is_iterable(more)) {
      fail_value("argument after * must be an iterable, not " + std::string(type_name(more)));
    }
    for (Value& value : to_vector(heap_, more)) out.positional.push_back(std::move(value));
  }
  for (const auto& [name, value] : arguments.named) out.named.emplace_back(name, evaluate(*value));
  if (arguments.more_named) {
    const Value more = evaluate(*arguments.more_named);
    if (!more.is(Kind::dict)) fail_value("argument after ** must be a mapping, not " + std::string(type_name(more)));
    for (const auto& [key, value] : more.as<Dict>().items) {
      heap_.work(1 + arguments.named.size() / 8);
      if (!key.is(Kind::string)) fail_value("keywords must be strings");
      for (const auto& named : arguments.named) {
        if (named.first == text_of(key)) {
          fail_value("got multiple values for keyword argument " + repr(key));
        }
      }
      out.named.emplace_back(text_of(key), value);
    }
  }
  return out;
}

Value Interpreter::evaluate_call(const Call& e, const Value* caller) {
  const Value callee = evaluate(*e.callee);
  Arguments arguments = evaluate_arguments(e.arguments);
  position_ = e.offset;
  if (caller) arguments.named.emplace_back("caller", *caller);
  return call(callee, arguments);
}

Value Interpreter::evaluate_filter(const Filter& e, const Value* innermost) {
  const Depth depth(heap_);
  Value subject;
  if (!e.subject)
    subject = *innermost;
  else if (innermost)
    subject = evaluate_filter(static_cast<const Filter&>(*e.subject), innermost);
  else
    subject = evaluate(*e.subject);
  Arguments arguments = evaluate_arguments(e.arguments);
  position_ = e.offset;
  if (!e.body) fail_value("No filter named " + repr_text(e.name) + " found.");
  return e.body(*this, subject, arguments);
}

Value Interpreter::evaluate_test(const Test& e) {
  const Value subject = evaluate(*e.subject);
  Arguments arguments = evaluate_arguments(e.arguments);
  position_ = e.offset;
  if (!e.body) fail_value("No test named " + repr_text(e.name) + " found.");
  return Value(e.body(*this, subject, arguments));
}

}  // namespace nemotron::jinja
