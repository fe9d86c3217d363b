// The tests of the template language (`x is odd`) by name.

#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// Null where there is no such test.
TestBody find_test(std::string_view name);

}  // namespace nemotron::jinja
