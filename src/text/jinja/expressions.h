// The expressions of the template language, by recursive descent.

#pragma once

#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace nemotron::jinja {

// The tokens with a position among them.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_op(const char* op) const { return is(TokenKind::op) && current().text == op; }
  bool is_name(const char* name) const { return is(TokenKind::name) && current().text == name; }
  bool next_is_name(const char* name) const { return next().kind == TokenKind::name && next().text == name; }
  bool next_is_op(const char* op) const { return next().kind == TokenKind::op && next().text == op; }
  bool skip_name(const char* name) { return is_name(name) && (take(), true); }
  bool skip_op(const char* op) { return is_op(op) && (take(), true); }

  Token& expect(TokenKind kind);
  void expect_op(const char* op);
  void expect_name(const char* name);
  [[noreturn]] void fail(std::string message) const;
  [[noreturn]] void fail_unexpected() const;

 private:
  friend class Nesting;
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  static std::string describe(const Token& token);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

// Counts how deeply the parser has descended while it lives.
class Nesting {
 public:
  explicit Nesting(TokenStream& stream);
  ~Nesting() { --stream_.depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  TokenStream& stream_;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExprPtr expression(bool with_conditional = true);
  // An expression, or a tuple without parentheses.
  ExprPtr tuple(bool with_conditional = true);
  // What stands left of `=` or `in`.
  ExprPtr target(bool with_namespace);
  ExprPtr name_target(NameUse use);
  ExprPtr copy_target(const Expr& target);
  // `| filter(…) | …` on `subject`, or without the first `|` where `inline_start`.
  ExprPtr filters(ExprPtr subject, bool inline_start);

  uint32_t constant_count() const { return constants_; }

 private:
  ExprPtr conditional();
  ExprPtr logical_or();
  ExprPtr logical_and();
  ExprPtr logical_not();
  ExprPtr compare();
  ExprPtr sum();
  ExprPtr concat();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filter = true);
  ExprPtr primary(bool with_namespace = false);
  ExprPtr parenthesized();
  ExprPtr tuple_items(bool simple, bool with_conditional, bool with_namespace, bool parenthesized);
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr node);
  ExprPtr filter_expression(ExprPtr node);
  ExprPtr subscript(ExprPtr node);
  ExprPtr subscribed();
  ExprPtr call(ExprPtr callee);
  CallArguments call_arguments();
  ExprPtr test(ExprPtr subject);
  std::string dotted_name();
  ExprPtr constant(const Token& token);

  TokenStream& stream_;
  uint32_t constants_ = 0;
};

}  // namespace nemotron::jinja
