// Expressions: one function per level of precedence, loosest first.

#include "text/jinja/expressions.h"

#include <algorithm>

#include "text/jinja/parser.h"

namespace nemotron::jinja {

std::string TokenStream::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::data:
      return "template data / text";
    case TokenKind::variable_begin:
      return "begin of print statement";
    case TokenKind::variable_end:
      return "end of print statement";
    case TokenKind::block_begin:
      return "begin of statement block";
    case TokenKind::block_end:
      return "end of statement block";
    case TokenKind::end:
      return "end of template";
    case TokenKind::integer:
      return "integer";
    case TokenKind::real:
      return "float";
    case TokenKind::string:
      return token.text.size() > 40 ? "string" : token.text;
    default:
      return token.text;
  }
}

void TokenStream::fail(std::string message) const { throw ParseFailure{std::move(message), current().offset}; }
void TokenStream::fail_unexpected() const { fail("unexpected '" + describe(current()) + "'"); }

Token& TokenStream::expect(TokenKind kind) {
  if (is(kind)) return take();
  const std::string wanted = kind == TokenKind::name ? "name" : describe({kind, 0, ""});
  fail("expected token '" + wanted + "', got '" + describe(current()) + "'");
}

void TokenStream::expect_op(const char* op) {
  if (!is_op(op)) fail(std::string("expected token '") + op + "', got '" + describe(current()) + "'");
  take();
}

void TokenStream::expect_name(const char* name) {
  if (!is_name(name)) fail(std::string("expected token '") + name + "', got '" + describe(current()) + "'");
  take();
}

Nesting::Nesting(TokenStream& stream) : stream_(stream) {
  if (stream.depth_ >= kMaxNesting)
    stream.fail("nested too deeply: more than " + std::to_string(kMaxNesting) + " levels");
  ++stream.depth_;
}

namespace {

// Grows `parent` over `child`, which may be null.
void adopt(Expr& parent, const ExprPtr& child) {
  if (!child) return;
  if (child->height >= kMaxHeight) {
    throw ParseFailure{"an expression of more than " + std::to_string(kMaxHeight) + " levels", parent.offset};
  }
  parent.height = std::max<uint16_t>(parent.height, static_cast<uint16_t>(child->height + 1));
}

void adopt(Expr& parent, const CallArguments& arguments) {
  for (const ExprPtr& e : arguments.positional) adopt(parent, e);
  for (const auto& [name, e] : arguments.named) adopt(parent, e);
  adopt(parent, arguments.more_positional);
  adopt(parent, arguments.more_named);
}

template <class Node>
ExprPtr make_pair_node(uint32_t offset, ExprPtr left, ExprPtr right, const auto& set) {
  auto out = std::make_unique<Node>(offset);
  set(*out);
  adopt(*out, left);
  adopt(*out, right);
  out->left = std::move(left);
  out->right = std::move(right);
  return out;
}

const char* kind_name(const Expr& e) {
  switch (e.kind) {
    case ExprKind::constant:
      return "const";
    case ExprKind::list:
      return "list";
    case ExprKind::dict:
      return "dict";
    case ExprKind::attribute:
      return "getattr";
    case ExprKind::item:
      return "getitem";
    case ExprKind::call:
      return "call";
    default:
      return "expression";
  }
}

// Turns what was parsed as an expression into a target.
void assign_to(Expr& e, NameUse use) {
  if (e.kind == ExprKind::namespace_ref) return;
  if (e.kind == ExprKind::name) {
    static_cast<Name&>(e).use = use;
    return;
  }
  if (e.kind != ExprKind::tuple) {
    throw ParseFailure{std::string("can't assign to '") + kind_name(e) + "'", e.offset};
  }
  for (const ExprPtr& item : static_cast<TupleLiteral&>(e).items) assign_to(*item, use);
}

bool is_constant_name(const std::string& name) {
  return name == "true" || name == "false" || name == "none" || name == "True" || name == "False" || name == "None";
}

}  // namespace

ExprPtr ExpressionParser::expression(bool with_conditional) {
  Nesting nesting(stream_);
  return with_conditional ? conditional() : logical_or();
}

ExprPtr ExpressionParser::conditional() {
  ExprPtr left = logical_or();
  while (stream_.is_name("if")) {
    auto out = std::make_unique<Conditional>(stream_.take().offset);
    out->test = logical_or();
    if (stream_.skip_name("else")) {
      Nesting nesting(stream_);
      out->otherwise = conditional();
    }
    out->then = std::move(left);
    adopt(*out, out->test);
    adopt(*out, out->then);
    adopt(*out, out->otherwise);
    left = std::move(out);
  }
  return left;
}

ExprPtr ExpressionParser::logical_or() {
  ExprPtr left = logical_and();
  while (stream_.is_name("or")) {
    const uint32_t offset = stream_.take().offset;
    ExprPtr right = logical_and();
    left = make_pair_node<Logical>(offset, std::move(left), std::move(right), [](Logical& l) { l.is_and = false; });
  }
  return left;
}

ExprPtr ExpressionParser::logical_and() {
  ExprPtr left = logical_not();
  while (stream_.is_name("and")) {
    const uint32_t offset = stream_.take().offset;
    ExprPtr right = logical_not();
    left = make_pair_node<Logical>(offset, std::move(left), std::move(right), [](Logical& l) { l.is_and = true; });
  }
  return left;
}

ExprPtr ExpressionParser::logical_not() {
  if (!stream_.is_name("not")) return compare();
  Nesting nesting(stream_);
  auto out = std::make_unique<Unary>(stream_.take().offset);
  out->op = UnaryOp::logical_not;
  out->operand = logical_not();
  adopt(*out, out->operand);
  return out;
}

ExprPtr ExpressionParser::compare() {
  static constexpr std::pair<const char*, CompareOp> kOps[] = {
      {"==", CompareOp::equal},      {"!=", CompareOp::not_equal}, {"<", CompareOp::less},
      {"<=", CompareOp::less_equal}, {">", CompareOp::greater},    {">=", CompareOp::greater_equal},
  };
  ExprPtr first = sum();
  std::unique_ptr<Compare> out;
  for (;;) {
    const uint32_t offset = stream_.current().offset;
    const auto* op =
        std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& o) { return stream_.is_op(o.first); });
    CompareOp kind = CompareOp::in;
    if (op != std::end(kOps)) {
      stream_.take();
      kind = op->second;
    } else if (stream_.is_name("not") && stream_.next_is_name("in")) {
      stream_.take();
      stream_.take();
      kind = CompareOp::not_in;
    } else if (!stream_.skip_name("in")) {
      break;
    }
    if (!out) out = std::make_unique<Compare>(offset);
    out->rest.emplace_back(kind, sum());
    adopt(*out, out->rest.back().second);
  }
  if (!out) return first;
  adopt(*out, first);
  out->first = std::move(first);
  return out;
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concat();
  while (stream_.is_op("+") || stream_.is_op("-")) {
    const BinaryOp op = stream_.is_op("+") ? BinaryOp::add : BinaryOp::subtract;
    const uint32_t offset = stream_.take().offset;
    ExprPtr right = concat();
    left = make_pair_node<Binary>(offset, std::move(left), std::move(right), [&](Binary& b) { b.op = op; });
  }
  return left;
}

ExprPtr ExpressionParser::concat() {
  ExprPtr first = product();
  if (!stream_.is_op("~")) return first;
  auto out = std::make_unique<Concat>(stream_.current().offset);
  out->items.push_back(std::move(first));
  while (stream_.skip_op("~")) out->items.push_back(product());
  for (const ExprPtr& item : out->items) adopt(*out, item);
  return out;
}

ExprPtr ExpressionParser::product() {
  static constexpr std::pair<const char*, BinaryOp> kOps[] = {
      {"*", BinaryOp::multiply}, {"/", BinaryOp::divide}, {"//", BinaryOp::floor_divide}, {"%", BinaryOp::modulo}};
  ExprPtr left = power();
  for (;;) {
    const auto* op =
        std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& o) { return stream_.is_op(o.first); });
    if (op == std::end(kOps)) return left;
    const uint32_t offset = stream_.take().offset;
    ExprPtr right = power();
    left = make_pair_node<Binary>(offset, std::move(left), std::move(right), [&](Binary& b) { b.op = op->second; });
  }
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary();
  while (stream_.is_op("**")) {
    const uint32_t offset = stream_.take().offset;
    ExprPtr right = unary();
    left = make_pair_node<Binary>(offset, std::move(left), std::move(right), [](Binary& b) { b.op = BinaryOp::power; });
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  ExprPtr node;
  if (stream_.is_op("-") || stream_.is_op("+")) {
    Nesting nesting(stream_);
    const bool negative = stream_.is_op("-");
    auto out = std::make_unique<Unary>(stream_.take().offset);
    out->op = negative ? UnaryOp::negative : UnaryOp::positive;
    out->operand = unary(false);
    adopt(*out, out->operand);
    node = std::move(out);
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filter_expression(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::constant(const Token& token) {
  auto out = std::make_unique<Constant>(token.offset);
  out->index = constants_++;
  switch (token.kind) {
    case TokenKind::name:
      if (token.text == "true" || token.text == "True")
        out->value = true;
      else if (token.text == "false" || token.text == "False")
        out->value = false;
      break;
    case TokenKind::string:
      out->value = token.text;
      break;
    default:
      if (const auto* i = std::get_if<int64_t>(&token.number))
        out->value = *i;
      else if (const auto* b = std::get_if<BigInt>(&token.number))
        out->value = *b;
      else if (const auto* d = std::get_if<double>(&token.number))
        out->value = *d;
  }
  return out;
}

ExprPtr ExpressionParser::primary(bool with_namespace) {
  const uint32_t offset = stream_.current().offset;
  switch (stream_.current().kind) {
    case TokenKind::name: {
      const Token& token = stream_.take();
      if (is_constant_name(token.text)) return constant(token);
      if (with_namespace && stream_.skip_op(".")) {
        auto out = std::make_unique<NamespaceRef>(offset);
        out->name = token.text;
        out->attribute = stream_.expect(TokenKind::name).text;
        return out;
      }
      auto out = std::make_unique<Name>(offset);
      out->name = token.text;
      return out;
    }
    case TokenKind::string: {
      Token joined = stream_.take();
      while (stream_.is(TokenKind::string)) joined.text += stream_.take().text;
      return constant(joined);
    }
    case TokenKind::integer:
    case TokenKind::real:
      return constant(stream_.take());
    default:
      break;
  }
  if (stream_.is_op("(")) return parenthesized();
  if (stream_.is_op("[")) return list();
  if (stream_.is_op("{")) return dict();
  stream_.fail_unexpected();
}

ExprPtr ExpressionParser::parenthesized() {
  Nesting nesting(stream_);
  stream_.take();
  ExprPtr out = tuple_items(false, true, false, true);
  stream_.expect_op(")");
  return out;
}

ExprPtr ExpressionParser::tuple(bool with_conditional) { return tuple_items(false, with_conditional, false, false); }

ExprPtr ExpressionParser::tuple_items(bool simple, bool with_conditional, bool with_namespace, bool parenthesized) {
  const uint32_t offset = stream_.current().offset;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  for (;;) {
    if (!items.empty()) stream_.expect_op(",");
    if (stream_.is(TokenKind::variable_end) || stream_.is(TokenKind::block_end) || stream_.is_op(")")) {
      break;
    }
    items.push_back(simple ? primary(with_namespace) : expression(with_conditional));
    if (!stream_.is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!parenthesized) {
      try {
        stream_.fail_unexpected();
      } catch (ParseFailure& f) {
        throw ParseFailure{"Expected an expression, got " + f.message.substr(sizeof("unexpected ") - 1), f.offset};
      }
    }
  }
  auto out = std::make_unique<TupleLiteral>(offset);
  for (const ExprPtr& item : items) adopt(*out, item);
  out->items = std::move(items);
  return out;
}

ExprPtr ExpressionParser::target(bool with_namespace) {
  ExprPtr out = tuple_items(true, true, with_namespace, false);
  assign_to(*out, NameUse::store);
  return out;
}

ExprPtr ExpressionParser::name_target(NameUse use) {
  const Token& token = stream_.expect(TokenKind::name);
  if (is_constant_name(token.text)) throw ParseFailure{"can't assign to 'name'", token.offset};
  auto out = std::make_unique<Name>(token.offset);
  out->name = token.text;
  out->use = use;
  return out;
}

ExprPtr ExpressionParser::copy_target(const Expr& e) {
  if (e.kind == ExprKind::name) {
    auto out = std::make_unique<Name>(e.offset);
    out->name = static_cast<const Name&>(e).name;
    out->use = NameUse::store;
    return out;
  }
  auto out = std::make_unique<TupleLiteral>(e.offset);
  for (const ExprPtr& item : static_cast<const TupleLiteral&>(e).items) out->items.push_back(copy_target(*item));
  return out;
}

ExprPtr ExpressionParser::list() {
  auto out = std::make_unique<ListLiteral>(stream_.take().offset);
  while (!stream_.is_op("]")) {
    if (!out->items.empty()) stream_.expect_op(",");
    if (stream_.is_op("]")) break;
    out->items.push_back(expression());
    adopt(*out, out->items.back());
  }
  stream_.expect_op("]");
  return out;
}

ExprPtr ExpressionParser::dict() {
  auto out = std::make_unique<DictLiteral>(stream_.take().offset);
  while (!stream_.is_op("}")) {
    if (!out->items.empty()) stream_.expect_op(",");
    if (stream_.is_op("}")) break;
    ExprPtr key = expression();
    stream_.expect_op(":");
    ExprPtr value = expression();
    adopt(*out, key);
    adopt(*out, value);
    out->items.emplace_back(std::move(key), std::move(value));
  }
  stream_.expect_op("}");
  return out;
}

ExprPtr ExpressionParser::postfix(ExprPtr node) {
  for (;;) {
    if (stream_.is_op(".") || stream_.is_op("["))
      node = subscript(std::move(node));
    else if (stream_.is_op("("))
      node = call(std::move(node));
    else
      return node;
  }
}

ExprPtr ExpressionParser::filter_expression(ExprPtr node) {
  for (;;) {
    if (stream_.is_op("|"))
      node = filters(std::move(node), false);
    else if (stream_.is_name("is"))
      node = test(std::move(node));
    else if (stream_.is_op("("))
      node = call(std::move(node));
    else
      return node;
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr node) {
  const uint32_t offset = stream_.current().offset;
  if (stream_.skip_op(".")) {
    const Token& token = stream_.take();
    if (token.kind == TokenKind::name) {
      auto out = std::make_unique<Attribute>(offset);
      out->name = token.text;
      adopt(*out, node);
      out->object = std::move(node);
      return out;
    }
    if (token.kind != TokenKind::integer) throw ParseFailure{"expected name or number", token.offset};
    auto out = std::make_unique<Item>(offset);
    adopt(*out, node);
    out->object = std::move(node);
    out->index = constant(token);
    return out;
  }
  stream_.take();
  std::vector<ExprPtr> indices;
  while (!stream_.is_op("]")) {
    if (!indices.empty()) stream_.expect_op(",");
    indices.push_back(subscribed());
  }
  stream_.expect_op("]");
  auto out = std::make_unique<Item>(offset);
  if (indices.size() == 1) {
    out->index = std::move(indices[0]);
  } else {
    auto tuple = std::make_unique<TupleLiteral>(offset);
    for (ExprPtr& index : indices) {
      if (index->kind == ExprKind::slice) throw ParseFailure{"invalid syntax", index->offset, FailureKind::value};
      adopt(*tuple, index);
      tuple->items.push_back(std::move(index));
    }
    out->index = std::move(tuple);
  }
  adopt(*out, node);
  adopt(*out, out->index);
  out->object = std::move(node);
  return out;
}

ExprPtr ExpressionParser::subscribed() {
  const uint32_t offset = stream_.current().offset;
  ExprPtr start;
  if (!stream_.is_op(":")) {
    start = expression();
    if (!stream_.is_op(":")) return start;
  }
  stream_.take();
  auto out = std::make_unique<SliceExpr>(offset);
  out->start = std::move(start);
  const auto at_end = [&] { return stream_.is_op("]") || stream_.is_op(","); };
  if (!stream_.is_op(":") && !at_end()) out->stop = expression();
  if (stream_.skip_op(":") && !at_end()) out->step = expression();
  adopt(*out, out->start);
  adopt(*out, out->stop);
  adopt(*out, out->step);
  return out;
}

CallArguments ExpressionParser::call_arguments() {
  CallArguments out;
  stream_.expect_op("(");
  const auto ensure = [&](bool valid) {
    if (!valid) stream_.fail("invalid syntax for function call expression");
  };
  bool first = true;
  while (!stream_.is_op(")")) {
    if (!first) {
      stream_.expect_op(",");
      if (stream_.is_op(")")) break;
    }
    first = false;
    if (stream_.is_op("*")) {
      ensure(!out.more_positional && !out.more_named);
      stream_.take();
      out.more_positional = expression();
    } else if (stream_.is_op("**")) {
      ensure(!out.more_named);
      stream_.take();
      out.more_named = expression();
    } else if (stream_.is(TokenKind::name) && stream_.next_is_op("=")) {
      ensure(!out.more_named);
      const Token& name = stream_.take();
      stream_.take();
      for (const auto& [other, value] : out.named) {
        if (other == name.text) {
          throw ParseFailure{"keyword argument repeated: " + name.text, name.offset, FailureKind::value};
        }
      }
      if (out.named.size() >= 1000) stream_.fail("too many arguments");
      out.named.emplace_back(name.text, expression());
    } else {
      ensure(!out.more_positional && !out.more_named && out.named.empty());
      out.positional.push_back(expression());
    }
  }
  stream_.expect_op(")");
  return out;
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  auto out = std::make_unique<Call>(stream_.current().offset);
  out->arguments = call_arguments();
  adopt(*out, callee);
  adopt(*out, out->arguments);
  out->callee = std::move(callee);
  return out;
}

std::string ExpressionParser::dotted_name() {
  std::string name = stream_.expect(TokenKind::name).text;
  while (stream_.skip_op(".")) name += "." + stream_.expect(TokenKind::name).text;
  return name;
}

ExprPtr ExpressionParser::filters(ExprPtr subject, bool inline_start) {
  while (inline_start || stream_.is_op("|")) {
    if (!inline_start) stream_.take();
    inline_start = false;
    auto out = std::make_unique<Filter>(stream_.current().offset);
    out->name = dotted_name();
    if (stream_.is_op("(")) out->arguments = call_arguments();
    adopt(*out, subject);
    adopt(*out, out->arguments);
    out->subject = std::move(subject);
    subject = std::move(out);
  }
  return subject;
}

ExprPtr ExpressionParser::test(ExprPtr subject) {
  auto out = std::make_unique<Test>(stream_.take().offset);
  const bool negated = stream_.skip_name("not");
  out->name = dotted_name();
  if (stream_.is_op("(")) {
    out->arguments = call_arguments();
  } else if ((stream_.is(TokenKind::name) || stream_.is(TokenKind::string) || stream_.is(TokenKind::integer) ||
              stream_.is(TokenKind::real) || stream_.is_op("[") || stream_.is_op("{")) &&
             !stream_.is_name("else") && !stream_.is_name("or") && !stream_.is_name("and")) {
    if (stream_.is_name("is")) stream_.fail("You cannot chain multiple tests with is");
    out->arguments.positional.push_back(postfix(primary()));
  }
  adopt(*out, subject);
  adopt(*out, out->arguments);
  out->subject = std::move(subject);
  if (!negated) return out;
  auto inverse = std::make_unique<Unary>(out->offset);
  inverse->op = UnaryOp::logical_not;
  inverse->operand = std::move(out);
  adopt(*inverse, inverse->operand);
  return inverse;
}

}  // namespace nemotron::jinja
