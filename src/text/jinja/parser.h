// The parser: tokens to a syntax tree.

#pragma once

#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace nemotron::jinja {

constexpr int kMaxNesting = 200;      // of tags and expressions in the source; a bracket counts twice
constexpr uint16_t kMaxHeight = 400;  // of an expression's tree: a + b + c … is as high as it is long

// `source` is normalized. Throws ParseFailure. Names are not resolved yet (scopes.h).
SyntaxTree parse(std::string_view source);

}  // namespace nemotron::jinja
