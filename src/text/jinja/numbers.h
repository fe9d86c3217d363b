// Python's int(text) and float(text).

#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// Nothing where Python raises ValueError. `base` is 0 or 2 to 36.
std::optional<BigInt> parse_integer(std::string_view text, int64_t base);
std::optional<double> parse_real(std::string_view text);

}  // namespace nemotron::jinja
