// The syntax tree of a template: statements and expressions as parsed, with the slots of names filled in by scopes.h.

#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/bigint.h"
#include "text/jinja/operators.h"

namespace nemotron::jinja {

// A variable's place: `hops` functions outwards, then a slot there.
struct SlotRef {
  uint32_t hops = 0;
  uint32_t slot = 0;
};

// What a name that a scope declares holds on entry.
struct SlotLoad {
  enum class From { nothing, outer, context };
  From from;
  uint32_t slot;     // in the scope's own function
  SlotRef outer;     // for outer
  std::string name;  // for context
};
using ScopeLoads = std::vector<SlotLoad>;

enum class ExprKind : uint8_t {
  constant,
  name,
  namespace_ref,
  list,
  tuple,
  dict,
  unary,
  binary,
  logical,
  compare,
  concat,
  conditional,
  attribute,
  item,
  slice,
  call,
  filter,
  test,
};

struct Expr {
  Expr(ExprKind k, uint32_t o) : kind(k), offset(o) {}
  virtual ~Expr() = default;
  const ExprKind kind;
  uint16_t height = 1;    // of the tree below, limited so that walking it is safe
  const uint32_t offset;  // in the source, for messages
};
using ExprPtr = std::unique_ptr<Expr>;

template <ExprKind K>
struct ExprOf : Expr {
  explicit ExprOf(uint32_t o) : Expr(K, o) {}
};

struct Constant : ExprOf<ExprKind::constant> {
  using ExprOf::ExprOf;
  std::variant<std::monostate, bool, int64_t, BigInt, double, std::string> value;
  uint32_t index = 0;  // among the template's constants
};

enum class NameUse : uint8_t { load, store, parameter };
struct Name : ExprOf<ExprKind::name> {
  using ExprOf::ExprOf;
  std::string name;
  NameUse use = NameUse::load;
  bool exported = false;  // a store at the top of the template, which blocks can see
  SlotRef slot;
};

struct NamespaceRef : ExprOf<ExprKind::namespace_ref> {  // target `name.attribute` of a set
  using ExprOf::ExprOf;
  std::string name, attribute;
  SlotRef slot;
};

struct ListLiteral : ExprOf<ExprKind::list> {
  using ExprOf::ExprOf;
  std::vector<ExprPtr> items;
};
struct TupleLiteral : ExprOf<ExprKind::tuple> {
  using ExprOf::ExprOf;
  std::vector<ExprPtr> items;
};
struct DictLiteral : ExprOf<ExprKind::dict> {
  using ExprOf::ExprOf;
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

enum class UnaryOp : uint8_t { negative, positive, logical_not };
struct Unary : ExprOf<ExprKind::unary> {
  using ExprOf::ExprOf;
  UnaryOp op = UnaryOp::logical_not;
  ExprPtr operand;
};
struct Binary : ExprOf<ExprKind::binary> {
  using ExprOf::ExprOf;
  BinaryOp op = BinaryOp::add;
  ExprPtr left, right;
};
struct Logical : ExprOf<ExprKind::logical> {
  using ExprOf::ExprOf;
  bool is_and = true;
  ExprPtr left, right;
};

enum class CompareOp : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };
struct Compare : ExprOf<ExprKind::compare> {
  using ExprOf::ExprOf;
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct Concat : ExprOf<ExprKind::concat> {
  using ExprOf::ExprOf;
  std::vector<ExprPtr> items;
};
struct Conditional : ExprOf<ExprKind::conditional> {
  using ExprOf::ExprOf;
  ExprPtr test, then, otherwise;  // otherwise may be null
};
struct Attribute : ExprOf<ExprKind::attribute> {
  using ExprOf::ExprOf;
  ExprPtr object;
  std::string name;
};
struct Item : ExprOf<ExprKind::item> {
  using ExprOf::ExprOf;
  ExprPtr object, index;  // index may be a SliceExpr
};
struct SliceExpr : ExprOf<ExprKind::slice> {
  using ExprOf::ExprOf;
  ExprPtr start, stop, step;  // each may be null
};

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *x and **x; may be null
};
struct Call : ExprOf<ExprKind::call> {
  using ExprOf::ExprOf;
  ExprPtr callee;
  CallArguments arguments;
};
struct Filter : ExprOf<ExprKind::filter> {
  using ExprOf::ExprOf;
  ExprPtr subject;  // null at the start of a filter block's chain
  std::string name;
  CallArguments arguments;
  MethodBody body = nullptr;  // null: there is no such filter, and it is an error to get here
};
struct Test : ExprOf<ExprKind::test> {
  using ExprOf::ExprOf;
  ExprPtr subject;
  std::string name;
  CallArguments arguments;
  TestBody body = nullptr;  // null: there is no such test
};

enum class StatementKind : uint8_t {
  text,
  print,
  condition,
  loop,
  macro,
  call_block,
  filter_block,
  set,
  set_block,
  with,
  autoescape,
  block,
  load,
  break_,
  continue_,
};

struct Statement {
  Statement(StatementKind k, uint32_t o) : kind(k), offset(o) {}
  virtual ~Statement() = default;
  const StatementKind kind;
  const uint32_t offset;
};
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

template <StatementKind K>
struct StatementOf : Statement {
  explicit StatementOf(uint32_t o) : Statement(K, o) {}
};

struct Text : StatementOf<StatementKind::text> {
  using StatementOf::StatementOf;
  std::string text;
};
struct Print : StatementOf<StatementKind::print> {
  using StatementOf::StatementOf;
  ExprPtr value;
};
struct Condition : StatementOf<StatementKind::condition> {
  using StatementOf::StatementOf;
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};

struct For : StatementOf<StatementKind::loop> {
  using StatementOf::StatementOf;
  ExprPtr target, items;
  ExprPtr test, test_target;  // both null without `if`; the target again, in the test's own scope
  Body body, otherwise;
  bool recursive = false;
  uint32_t loop_slot = 0;
  uint32_t slot_count = 0;  // of its own function, where recursive
  ScopeLoads body_loads, test_loads, otherwise_loads;
};

// A macro, or the body of a call block: a function of its own.
struct MacroBody {
  std::string name;                 // empty for a call block
  std::vector<ExprPtr> parameters;  // Name
  std::vector<ExprPtr> defaults;    // of the last parameters
  Body body;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  bool explicit_caller = false;  // `caller` is among the parameters
  uint32_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0;
  uint32_t slot_count = 0;
  ScopeLoads loads;
};
struct MacroStatement : StatementOf<StatementKind::macro> {
  using StatementOf::StatementOf;
  MacroBody macro;
  ExprPtr target;  // Name
};
struct CallBlock : StatementOf<StatementKind::call_block> {
  using StatementOf::StatementOf;
  MacroBody macro;
  ExprPtr call;  // Call; null for a generation block, which calls its own body
};
struct FilterBlock : StatementOf<StatementKind::filter_block> {
  using StatementOf::StatementOf;
  ExprPtr filter;
  Body body;
  ScopeLoads loads;
};
struct Set : StatementOf<StatementKind::set> {
  using StatementOf::StatementOf;
  ExprPtr target, value;
};
struct SetBlock : StatementOf<StatementKind::set_block> {
  using StatementOf::StatementOf;
  ExprPtr target, filter;  // filter may be null
  Body body;
  ScopeLoads loads;
};
struct With : StatementOf<StatementKind::with> {
  using StatementOf::StatementOf;
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  Body body;
  ScopeLoads loads;
};
struct Autoescape : StatementOf<StatementKind::autoescape> {
  using StatementOf::StatementOf;
  ExprPtr enabled;
  Body body;
  ScopeLoads loads;
};
struct Block : StatementOf<StatementKind::block> {
  using StatementOf::StatementOf;
  std::string name;
  bool scoped = false, required = false;
  Body body;
  uint32_t slot_count = 0;
  ScopeLoads loads;
  std::vector<std::pair<std::string, SlotRef>> visible;  // what a scoped block sees of the place it stands in
};
// include, import, from … import, extends: all fail when reached, as there is nothing to load from.
struct Load : StatementOf<StatementKind::load> {
  using StatementOf::StatementOf;
  ExprPtr source;
  std::vector<ExprPtr> targets;  // Name
};
struct Break : StatementOf<StatementKind::break_> {
  using StatementOf::StatementOf;
};
struct Continue : StatementOf<StatementKind::continue_> {
  using StatementOf::StatementOf;
};

struct SyntaxTree {
  Body body;
  uint32_t constant_count = 0;
  uint32_t slot_count = 0;
  ScopeLoads loads;
  bool has_blocks = false;
  std::set<std::string> context_names;  // that are read where the caller's variables, or the globals, answer
};

}  // namespace nemotron::jinja
