// A template's text cut into tokens, with Jinja's rules for white space around tags.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/jinja/bigint.h"
#include "text/jinja/failure.h"

namespace nemotron::jinja {

enum class TokenKind : uint8_t {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  op,
  end,
};

struct Token {
  TokenKind kind;
  uint32_t offset;
  std::string text;  // data, name or string (unescaped); the characters of an operator
  std::variant<std::monostate, int64_t, BigInt, double> number = {};
};

// Newlines become \n, and one at the end goes: what Jinja does first. Token offsets refer to the result.
std::string normalize_source(std::string_view source);

// Thrown by lexer and parser: what is wrong, and where in the source.
struct ParseFailure {
  std::string message;
  uint32_t offset;
  FailureKind kind = FailureKind::syntax;
};

// trim_blocks and lstrip_blocks are on, as in every chat template. The last token is `end`.
std::vector<Token> tokenize(std::string_view source);

}  // namespace nemotron::jinja
