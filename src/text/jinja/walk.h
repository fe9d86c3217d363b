// Visits the parts of a node of the syntax tree in the order in which Jinja looks at them.

#pragma once

#include "text/jinja/ast.h"

namespace nemotron::jinja {

template <class Visit>
void for_each_part(const CallArguments& arguments, const Visit& visit) {
  for (const ExprPtr& e : arguments.positional) visit(*e);
  for (const auto& named : arguments.named) visit(*named.second);
  if (arguments.more_positional) visit(*arguments.more_positional);
  if (arguments.more_named) visit(*arguments.more_named);
}

template <class Visit>
void for_each_part(Expr& e, const Visit& visit) {
  const auto maybe = [&](const ExprPtr& part) {
    if (part) visit(*part);
  };
  switch (e.kind) {
    case ExprKind::constant:
    case ExprKind::name:
    case ExprKind::namespace_ref:
      break;
    case ExprKind::list:
      for (const ExprPtr& item : static_cast<ListLiteral&>(e).items) visit(*item);
      break;
    case ExprKind::tuple:
      for (const ExprPtr& item : static_cast<TupleLiteral&>(e).items) visit(*item);
      break;
    case ExprKind::dict:
      for (const auto& item : static_cast<DictLiteral&>(e).items) visit(*item.first), visit(*item.second);
      break;
    case ExprKind::unary:
      visit(*static_cast<Unary&>(e).operand);
      break;
    case ExprKind::binary:
      visit(*static_cast<Binary&>(e).left), visit(*static_cast<Binary&>(e).right);
      break;
    case ExprKind::logical:
      visit(*static_cast<Logical&>(e).left), visit(*static_cast<Logical&>(e).right);
      break;
    case ExprKind::compare:
      visit(*static_cast<Compare&>(e).first);
      for (const auto& operand : static_cast<Compare&>(e).rest) visit(*operand.second);
      break;
    case ExprKind::concat:
      for (const ExprPtr& item : static_cast<Concat&>(e).items) visit(*item);
      break;
    case ExprKind::conditional: {
      auto& c = static_cast<Conditional&>(e);
      visit(*c.test), visit(*c.then), maybe(c.otherwise);
      break;
    }
    case ExprKind::attribute:
      visit(*static_cast<Attribute&>(e).object);
      break;
    case ExprKind::item:
      visit(*static_cast<Item&>(e).object), visit(*static_cast<Item&>(e).index);
      break;
    case ExprKind::slice: {
      auto& s = static_cast<SliceExpr&>(e);
      maybe(s.start), maybe(s.stop), maybe(s.step);
      break;
    }
    case ExprKind::call:
      visit(*static_cast<Call&>(e).callee);
      for_each_part(static_cast<Call&>(e).arguments, visit);
      break;
    case ExprKind::filter:
      maybe(static_cast<Filter&>(e).subject);
      for_each_part(static_cast<Filter&>(e).arguments, visit);
      break;
    case ExprKind::test:
      visit(*static_cast<Test&>(e).subject);
      for_each_part(static_cast<Test&>(e).arguments, visit);
      break;
  }
}

template <class VisitExpr, class VisitBody>
void for_each_part(MacroBody& m, const VisitExpr& expr, const VisitBody& body) {
  for (const ExprPtr& e : m.parameters) expr(*e);
  for (const ExprPtr& e : m.defaults) expr(*e);
  body(m.body);
}

template <class VisitExpr, class VisitBody>
void for_each_part(Statement& s, const VisitExpr& expr, const VisitBody& body) {
  const auto maybe = [&](const ExprPtr& part) {
    if (part) expr(*part);
  };
  switch (s.kind) {
    case StatementKind::text:
    case StatementKind::break_:
    case StatementKind::continue_:
      break;
    case StatementKind::print:
      expr(*static_cast<Print&>(s).value);
      break;
    case StatementKind::condition:
      for (auto& [test, then] : static_cast<Condition&>(s).branches) expr(*test), body(then);
      body(static_cast<Condition&>(s).otherwise);
      break;
    case StatementKind::loop: {
      auto& f = static_cast<For&>(s);
      expr(*f.target), expr(*f.items), body(f.body), body(f.otherwise), maybe(f.test);
      break;
    }
    case StatementKind::macro:
      for_each_part(static_cast<MacroStatement&>(s).macro, expr, body);
      break;
    case StatementKind::call_block:
      maybe(static_cast<CallBlock&>(s).call);
      for_each_part(static_cast<CallBlock&>(s).macro, expr, body);
      break;
    case StatementKind::filter_block:
      body(static_cast<FilterBlock&>(s).body), expr(*static_cast<FilterBlock&>(s).filter);
      break;
    case StatementKind::set:
      expr(*static_cast<Set&>(s).target), expr(*static_cast<Set&>(s).value);
      break;
    case StatementKind::set_block: {
      auto& b = static_cast<SetBlock&>(s);
      expr(*b.target), maybe(b.filter), body(b.body);
      break;
    }
    case StatementKind::with:
      for (auto& a : static_cast<With&>(s).assignments) expr(*a.first);
      for (auto& a : static_cast<With&>(s).assignments) expr(*a.second);
      body(static_cast<With&>(s).body);
      break;
    case StatementKind::autoescape:
      expr(*static_cast<Autoescape&>(s).enabled), body(static_cast<Autoescape&>(s).body);
      break;
    case StatementKind::block:
      body(static_cast<Block&>(s).body);
      break;
    case StatementKind::load:
      expr(*static_cast<Load&>(s).source);
      break;
  }
}

}  // namespace nemotron::jinja
