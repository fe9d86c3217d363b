// Which variable a name means: every name of a syntax tree gets its slot before anything runs.
//
// Jinja decides this from the text alone, with effects that templates rely on: what a loop sets is gone behind it, what
// an `if` sets stays, a macro sees the variables around it as they are when it is called, and a name that is set
// further down in the same scope hides the one given from outside.

#pragma once

#include "text/jinja/ast.h"

namespace nemotron::jinja {

// Fills in slots and the loads of each scope, and looks up filters and tests. Throws ParseFailure for an unknown filter
// or test (unless an `if` stands around it: then only where it is reached) and for a misplaced `break`.
void resolve_names(SyntaxTree& tree);

}  // namespace nemotron::jinja
