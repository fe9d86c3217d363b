// Runs a syntax tree: statements write text, expressions give values.

#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/value.h"

namespace nemotron::jinja {

// The variables of one call of a function (the template itself, a macro, a level of a recursive loop).
struct Activation : Object {
  Activation(Heap& heap, size_t count, Value p)
      : Object(heap, Kind::activation, sizeof(*this) + count * sizeof(Value)), slots(count), parent(std::move(p)) {}
  void clear() override {
    slots.clear();
    parent = Value();
  }
  std::vector<Value> slots;
  Value parent;  // the activation the function was defined in; missing for the template and for blocks
};

struct Macro : Object {
  Macro(Heap& heap, const MacroBody& b, Value c)
      : Object(heap, Kind::macro, sizeof(*this)), body(b), closure(std::move(c)) {}
  void clear() override { closure = Value(); }
  const MacroBody& body;
  Value closure;
};

class Interpreter {
 public:
  // `now` is what strftime_now sees.
  Interpreter(const SyntaxTree& tree, const Limits& limits, const std::tm& now);

  // The whole output. Throws Failure; position() then tells where.
  std::string render(const Json& context);
  uint32_t position() const { return position_; }

  Heap& heap() { return heap_; }
  bool autoescape() const { return autoescape_; }
  const std::tm& now() const { return now_; }

  Value call(const Value& callee, Arguments& arguments);
  // A filter or test by name, as `map` and `select` use them.
  Value apply_filter(const std::string& name, const Value& subject, Arguments& arguments);
  bool apply_test(const std::string& name, const Value& subject, Arguments& arguments);

  // A pseudo-random number; the same sequence in every rendering, so that a prompt is a function of its conversation.
  uint64_t random();

 private:
  enum class Flow { normal, leave, next };
  class Capture;
  class Frame;
  class ConditionIterator;

  Flow run(const Body& body);
  Flow run(const Statement& statement);
  Flow run_condition(const Condition& statement);
  Flow run_for(const For& statement);
  Flow run_filter_block(const FilterBlock& statement);
  Flow run_set_block(const SetBlock& statement);
  Flow run_with(const With& statement);
  Flow run_autoescape(const Autoescape& statement);
  void run_set(const Set& statement);
  void run_call_block(const CallBlock& statement);
  void run_block(const Block& statement);
  Flow run_loop(const For& statement, const Value& items, const Value& closure, int64_t depth0);
  Value run_recursive(const For& statement, const Value& items, const Value& closure, int64_t depth0);

  Value call_macro(const Macro& macro, Arguments& arguments);
  void bind_macro(const MacroBody& macro, Arguments& arguments);

  Value evaluate(const Expr& e);
  Value evaluate_maybe(const ExprPtr& e) { return e ? evaluate(*e) : Value(); }
  Value evaluate_constant(const Constant& e);
  Value evaluate_name(const Name& e);
  std::vector<Value> evaluate_all(const std::vector<ExprPtr>& items);
  Value evaluate_dict(const DictLiteral& e);
  Value evaluate_unary(const Unary& e);
  Value evaluate_compare(const Compare& e);
  Value evaluate_concat(const Concat& e);
  Value evaluate_conditional(const Conditional& e);
  Value evaluate_item(const Item& e);
  Value evaluate_call(const Call& e, const Value* caller);
  Value evaluate_filter(const Filter& e, const Value* innermost);
  Value evaluate_test(const Test& e);
  Arguments evaluate_arguments(const CallArguments& arguments);

  void assign(const Expr& target, Value value);
  void check_namespaces(const Expr& target);
  void enter(const ScopeLoads& loads);
  Value resolve(const std::string& name);
  Value& slot(SlotRef ref);
  Activation& frame() { return frame_.as<Activation>(); }

  void write(std::string_view text);
  void write_value(const Value& value);
  void write_text_result(const Value& value);
  Value captured(std::string text);

  const SyntaxTree& tree_;
  Heap heap_;
  const std::tm now_;
  Value context_;
  Value exported_;                // what the top of the template has set, for blocks
  std::vector<Value> overlays_;   // of scoped blocks, innermost last
  std::vector<Value> constants_;  // made when first used
  std::vector<std::pair<std::string, Value>> globals_;
  Value frame_;
  std::string* out_ = nullptr;
  uint32_t position_ = 0;
  int calls_ = 0;
  bool autoescape_ = false;
  uint64_t random_state_ = 0;
};

}  // namespace nemotron::jinja
