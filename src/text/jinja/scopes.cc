// Names to slots, in two passes over each scope: first what it declares, then what its names mean.

#include "text/jinja/scopes.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "text/jinja/filters.h"
#include "text/jinja/lexer.h"
#include "text/jinja/tests.h"
#include "text/jinja/walk.h"

namespace nemotron::jinja {
namespace {

struct FunctionFrame {
  const FunctionFrame* parent = nullptr;
  uint32_t slot_count = 0;
};

// The names of one scope. A scope inside a function shares the function's slots.
class Scope {
 public:
  Scope(const Scope* parent, FunctionFrame* function) : parent_(parent), function_(function) {}

  FunctionFrame* function() const { return function_; }
  bool is_root() const { return !parent_; }

  // A name is read: where no scope knows it yet, it comes from the context.
  void load(const std::string& name) {
    if (!find(name)) define(name, {SlotLoad::From::context, 0, {}, name});
  }

  // A name is set. Where it was not known before, it starts as what an outer scope has, and else as nothing, although
  // the context may have it; behind an `if`, which may not set it, it starts as what the context has.
  void store(const std::string& name, bool in_branch) {
    stores_.insert(name);
    if (entries_.count(name)) return;
    if (parent_ && parent_->find(name))
      define(name, {SlotLoad::From::outer, 0, parent_->reference(name, function_), ""});
    else
      define(name, {in_branch ? SlotLoad::From::context : SlotLoad::From::nothing, 0, {}, name});
  }

  // A name that is filled in from outside, like a macro's argument.
  uint32_t declare(const std::string& name) {
    stores_.insert(name);
    if (const auto known = entries_.find(name); known != entries_.end()) {
      known->second.is_parameter = true;
      return known->second.load.slot;
    }
    define(name, {});
    entries_[name].is_parameter = true;
    return entries_[name].load.slot;
  }

  // The place of a known name, seen from `from`.
  SlotRef reference(const std::string& name, const FunctionFrame* from) const {
    const Scope* scope = this;
    while (!scope->entries_.count(name)) scope = scope->parent_;
    SlotRef out;
    for (; from != scope->function_; from = from->parent) ++out.hops;
    out.slot = scope->entries_.at(name).load.slot;
    return out;
  }
  SlotRef reference(const std::string& name) const { return reference(name, function_); }

  // Whether a name that is known holds what the context gives, until the scope sets it.
  bool from_context(const std::string& name) const {
    const Scope* scope = this;
    while (!scope->entries_.count(name)) scope = scope->parent_;
    const Entry& entry = scope->entries_.at(name);
    return !entry.is_parameter && entry.load.from == SlotLoad::From::context;
  }

  ScopeLoads loads() const {
    ScopeLoads out;
    for (const auto& [name, entry] : entries_) {
      if (!entry.is_parameter) out.push_back(entry.load);
    }
    return out;
  }

  // Every name set here or further out, the innermost of each.
  std::vector<std::pair<std::string, SlotRef>> visible() const {
    std::set<std::string> names;
    for (const Scope* s = this; s; s = s->parent_) names.insert(s->stores_.begin(), s->stores_.end());
    std::vector<std::pair<std::string, SlotRef>> out;
    for (const std::string& name : names) out.emplace_back(name, reference(name));
    return out;
  }

 private:
  struct Entry {
    SlotLoad load;
    bool is_parameter = false;
  };

  bool find(const std::string& name) const {
    for (const Scope* s = this; s; s = s->parent_) {
      if (s->entries_.count(name)) return true;
    }
    return false;
  }

  void define(const std::string& name, SlotLoad load) {
    load.slot = function_->slot_count++;
    entries_[name] = {std::move(load), false};
  }

  const Scope* parent_;
  FunctionFrame* function_;
  std::unordered_map<std::string, Entry> entries_;
  std::set<std::string> stores_;
};

// First pass: tells a scope which names the statements directly in it read and set, in order.
class Declarations {
 public:
  explicit Declarations(Scope& scope) : scope_(scope) {}

  void body(const Body& statements) {
    for (const StatementPtr& s : statements) statement(*s);
  }

  void expr(Expr& e) {
    if (e.kind == ExprKind::name) {
      const auto& name = static_cast<Name&>(e);
      if (name.use == NameUse::load)
        scope_.load(name.name);
      else if (name.use == NameUse::store)
        scope_.store(name.name, in_branch_);
      else
        scope_.declare(name.name);
    } else if (e.kind == ExprKind::namespace_ref) {
      scope_.load(static_cast<NamespaceRef&>(e).name);
    } else {
      for_each_part(e, [&](Expr& part) { expr(part); });
    }
  }

  void parameters(Expr& target) {
    if (target.kind == ExprKind::name)
      scope_.declare(static_cast<Name&>(target).name);
    else
      for_each_part(target, [&](Expr& part) { parameters(part); });
  }

 private:
  void statement(Statement& s) {
    switch (s.kind) {
      case StatementKind::print:
        expr(*static_cast<Print&>(s).value);
        break;
      case StatementKind::condition:
        condition(static_cast<Condition&>(s));
        break;
      case StatementKind::loop:
        expr(*static_cast<For&>(s).items);
        break;
      case StatementKind::macro:
        expr(*static_cast<MacroStatement&>(s).target);
        break;
      case StatementKind::call_block:
        if (static_cast<CallBlock&>(s).call) expr(*static_cast<CallBlock&>(s).call);
        break;
      case StatementKind::filter_block:
        expr(*static_cast<FilterBlock&>(s).filter);
        break;
      case StatementKind::set:
        expr(*static_cast<Set&>(s).value);
        expr(*static_cast<Set&>(s).target);
        break;
      case StatementKind::set_block:
        expr(*static_cast<SetBlock&>(s).target);
        break;
      case StatementKind::with:
        for (auto& assignment : static_cast<With&>(s).assignments) expr(*assignment.second);
        break;
      case StatementKind::load:
        expr(*static_cast<Load&>(s).source);
        for (const ExprPtr& target : static_cast<Load&>(s).targets) expr(*target);
        break;
      default:
        break;
    }
  }

  void condition(Condition& c) {
    for (size_t i = 0; i < c.branches.size(); ++i) {
      expr(*c.branches[i].first);
      branch(c.branches[i].second);
    }
    branch(c.otherwise);
  }

  void branch(const Body& statements) {
    const bool outer = in_branch_;
    in_branch_ = true;
    body(statements);
    in_branch_ = outer;
  }

  Scope& scope_;
  bool in_branch_ = false;
};

// Which of caller, kwargs and varargs a macro's body reads before anything sets them.
class SpecialNames {
 public:
  explicit SpecialNames(const Body& body) { visit(body); }
  bool reads(const char* name) const { return read_.count(name) > 0; }

 private:
  void visit(const Body& body) {
    for (const StatementPtr& s : body) {
      if (s->kind == StatementKind::block) continue;
      for_each_part(
          *s, [&](Expr& e) { visit(e); }, [&](const Body& inner) { visit(inner); });
    }
  }
  void visit(Expr& e) {
    if (e.kind != ExprKind::name) {
      for_each_part(e, [&](Expr& part) { visit(part); });
      return;
    }
    const auto& name = static_cast<Name&>(e);
    if (name.use == NameUse::load && looked_for_.count(name.name))
      read_.insert(name.name);
    else
      looked_for_.erase(name.name);
  }
  std::set<std::string> looked_for_ = {"caller", "kwargs", "varargs"};
  std::set<std::string> read_;
};

// What surrounds a statement.
struct Surroundings {
  bool soft = false;        // inside an `if`: unknown filters are errors only when reached
  bool in_loop = false;     // `break` has a loop to leave
  bool inside_for = false;  // anywhere below one: `loop` must not be set
};

// Second pass.
class Resolver {
 public:
  explicit Resolver(SyntaxTree& tree) : tree_(tree) {}

  void run() {
    FunctionFrame function;
    Scope scope(nullptr, &function);
    Declarations(scope).body(tree_.body);
    tree_.loads = scope.loads();
    body(tree_.body, scope, {});
    tree_.slot_count = function.slot_count;
  }

 private:
  void body(const Body& statements, const Scope& scope, Surroundings around) {
    for (const StatementPtr& s : statements) statement(*s, scope, around);
  }

  void expr(Expr& e, const Scope& scope, Surroundings around) {
    switch (e.kind) {
      case ExprKind::name:
        name(static_cast<Name&>(e), scope, around);
        return;
      case ExprKind::namespace_ref:
        static_cast<NamespaceRef&>(e).slot = scope.reference(static_cast<NamespaceRef&>(e).name);
        return;
      case ExprKind::conditional:
        around.soft = true;
        break;
      case ExprKind::filter: {
        auto& filter = static_cast<Filter&>(e);
        filter.body = find_filter(filter.name);
        if (!filter.body && !around.soft) throw ParseFailure{"No filter named '" + filter.name + "'.", e.offset};
        break;
      }
      case ExprKind::test: {
        auto& test = static_cast<Test&>(e);
        test.body = find_test(test.name);
        if (!test.body && !around.soft) throw ParseFailure{"No test named '" + test.name + "'.", e.offset};
        break;
      }
      default:
        break;
    }
    for_each_part(e, [&](Expr& part) { expr(part, scope, around); });
  }
  void maybe(const ExprPtr& e, const Scope& scope, Surroundings around) {
    if (e) expr(*e, scope, around);
  }

  void name(Name& n, const Scope& scope, Surroundings around) {
    if (n.use == NameUse::store && n.name == "loop" && around.inside_for) {
      throw ParseFailure{"Can't assign to special loop variable in for-loop target", n.offset};
    }
    n.slot = scope.reference(n.name);
    if (n.use == NameUse::load && scope.from_context(n.name)) tree_.context_names.insert(n.name);
    n.exported = tree_.has_blocks && n.use == NameUse::store && scope.is_root();
  }

  void statement(Statement& s, const Scope& scope, Surroundings around) {
    switch (s.kind) {
      case StatementKind::text:
        break;
      case StatementKind::print:
        expr(*static_cast<Print&>(s).value, scope, around);
        break;
      case StatementKind::condition:
        condition(static_cast<Condition&>(s), scope, around);
        break;
      case StatementKind::loop:
        loop(static_cast<For&>(s), scope, around);
        break;
      case StatementKind::macro: {
        auto& m = static_cast<MacroStatement&>(s);
        name(static_cast<Name&>(*m.target), scope, {});
        macro(m.macro, scope, around, s.offset);
        break;
      }
      case StatementKind::call_block:
        maybe(static_cast<CallBlock&>(s).call, scope, around);
        macro(static_cast<CallBlock&>(s).macro, scope, around, s.offset);
        break;
      case StatementKind::filter_block: {
        auto& b = static_cast<FilterBlock&>(s);
        Scope inner(&scope, scope.function());
        Declarations declarations(inner);
        declarations.body(b.body);
        declarations.expr(*b.filter);
        b.loads = inner.loads();
        around.soft = false;
        body(b.body, inner, around);
        expr(*b.filter, inner, around);
        break;
      }
      case StatementKind::set:
        expr(*static_cast<Set&>(s).value, scope, around);
        expr(*static_cast<Set&>(s).target, scope, around);
        break;
      case StatementKind::set_block: {
        auto& b = static_cast<SetBlock&>(s);
        Scope inner(&scope, scope.function());
        Declarations declarations(inner);
        declarations.body(b.body);
        if (b.filter) declarations.expr(*b.filter);
        b.loads = inner.loads();
        expr(*b.target, scope, around);
        around.soft = false;
        body(b.body, inner, around);
        maybe(b.filter, inner, around);
        break;
      }
      case StatementKind::with:
        with(static_cast<With&>(s), scope, around);
        break;
      case StatementKind::autoescape: {
        auto& a = static_cast<Autoescape&>(s);
        Scope inner(&scope, scope.function());
        Declarations declarations(inner);
        declarations.expr(*a.enabled);
        declarations.body(a.body);
        a.loads = inner.loads();
        around.soft = false;
        expr(*a.enabled, inner, around);
        body(a.body, inner, around);
        break;
      }
      case StatementKind::block:
        block(static_cast<Block&>(s), scope);
        break;
      case StatementKind::load:
        expr(*static_cast<Load&>(s).source, scope, around);
        for (const ExprPtr& target : static_cast<Load&>(s).targets) name(static_cast<Name&>(*target), scope, {});
        break;
      case StatementKind::break_:
        if (!around.in_loop) throw ParseFailure{"'break' outside loop", s.offset, FailureKind::value};
        break;
      case StatementKind::continue_:
        if (!around.in_loop) throw ParseFailure{"'continue' not properly in loop", s.offset, FailureKind::value};
        break;
    }
  }

  void condition(Condition& c, const Scope& scope, Surroundings around) {
    around.soft = true;
    for (auto& [test, then] : c.branches) {
      expr(*test, scope, around);
      body(then, scope, around);
    }
    body(c.otherwise, scope, around);
  }

  void loop(For& f, const Scope& scope, Surroundings around) {
    expr(*f.items, scope, around);
    Surroundings inside = around;
    inside.soft = false;
    inside.inside_for = true;

    // A recursive loop is a function: each level of it has variables of its own.
    FunctionFrame own{scope.function(), 0};
    FunctionFrame* function = f.recursive ? &own : scope.function();
    Scope body_scope(&scope, function);
    f.loop_slot = body_scope.declare("loop");
    Declarations declarations(body_scope);
    declarations.parameters(*f.target);
    declarations.body(f.body);
    f.body_loads = body_scope.loads();
    expr(*f.target, body_scope, inside);
    Surroundings in_body = inside;
    in_body.in_loop = true;
    body(f.body, body_scope, in_body);

    if (f.test) {
      Scope test_scope(&scope, function);
      Declarations test_declarations(test_scope);
      test_declarations.parameters(*f.test_target);
      test_declarations.expr(*f.test);
      f.test_loads = test_scope.loads();
      expr(*f.test_target, test_scope, inside);
      expr(*f.test, test_scope, inside);
    }

    Scope else_scope(&scope, function);
    Declarations(else_scope).body(f.otherwise);
    f.otherwise_loads = else_scope.loads();
    inside.in_loop = around.in_loop && !f.recursive;
    body(f.otherwise, else_scope, inside);
    f.slot_count = own.slot_count;
  }

  void macro(MacroBody& m, const Scope& scope, Surroundings around, uint32_t offset) {
    FunctionFrame function{scope.function(), 0};
    Scope inner(&scope, &function);
    Declarations declarations(inner);
    for (const ExprPtr& parameter : m.parameters) declarations.expr(*parameter);
    for (const ExprPtr& value : m.defaults) declarations.expr(*value);
    declarations.body(m.body);

    const SpecialNames special(m.body);
    const auto parameter = [&](const char* wanted) {
      return std::find_if(m.parameters.begin(), m.parameters.end(),
                          [&](const ExprPtr& p) { return static_cast<Name&>(*p).name == wanted; });
    };
    const auto caller = parameter("caller");
    m.explicit_caller = caller != m.parameters.end();
    if (special.reads("caller")) {
      const auto required = static_cast<ptrdiff_t>(m.parameters.size() - m.defaults.size());
      if (m.explicit_caller && caller - m.parameters.begin() < required) {
        throw ParseFailure{
            "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
            "default.",
            offset};
      }
      m.uses_caller = true;
      if (!m.explicit_caller) m.caller_slot = inner.declare("caller");
    }
    if (special.reads("kwargs") && parameter("kwargs") == m.parameters.end()) {
      m.uses_kwargs = true;
      m.kwargs_slot = inner.declare("kwargs");
    }
    if (special.reads("varargs") && parameter("varargs") == m.parameters.end()) {
      m.uses_varargs = true;
      m.varargs_slot = inner.declare("varargs");
    }
    m.loads = inner.loads();

    around.soft = around.in_loop = false;
    for (const ExprPtr& p : m.parameters) expr(*p, inner, around);
    for (const ExprPtr& value : m.defaults) expr(*value, inner, around);
    body(m.body, inner, around);
    m.slot_count = function.slot_count;
  }

  void with(With& w, const Scope& scope, Surroundings around) {
    Scope inner(&scope, scope.function());
    Declarations declarations(inner);
    for (auto& assignment : w.assignments) declarations.parameters(*assignment.first);
    declarations.body(w.body);
    w.loads = inner.loads();
    for (auto& [target, value] : w.assignments) {
      expr(*value, scope, around);
      Surroundings plain = around;
      plain.inside_for = false;  // its targets are parameters
      expr(*target, inner, plain);
    }
    around.soft = false;
    body(w.body, inner, around);
  }

  void block(Block& b, const Scope& scope) {
    if (b.scoped) b.visible = scope.visible();
    FunctionFrame function;
    Scope inner(nullptr, &function);
    Declarations(inner).body(b.body);
    b.loads = inner.loads();
    // A block is not the top of the template, although nothing is around it.
    const bool has_blocks = tree_.has_blocks;
    tree_.has_blocks = false;
    body(b.body, inner, {});
    tree_.has_blocks = has_blocks;
    b.slot_count = function.slot_count;
  }

  SyntaxTree& tree_;
};

}  // namespace

void resolve_names(SyntaxTree& tree) { Resolver(tree).run(); }

}  // namespace nemotron::jinja
