// Lines of a limited width, as Python's textwrap makes them, and dicts with sorted keys, as pprint shows them.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace nemotron::jinja {

std::vector<std::string> wrapped(std::string_view text, size_t width, bool break_long_words, bool break_on_hyphens);

Value sorted_copy(Interpreter& in, const Value& value, int depth);

}  // namespace nemotron::jinja
