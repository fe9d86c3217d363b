// The functions every template can call: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.

#pragma once

#include <string>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// Missing where there is no such function.
Value make_global(Heap& heap, const std::string& name);

Value call_joiner(Interpreter& in, Joiner& joiner, Arguments& arguments);

}  // namespace nemotron::jinja
