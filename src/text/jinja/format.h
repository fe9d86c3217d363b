// Python's format(value, spec), and the number formatting it shares with the % operator.

#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// The format mini-language: [[fill]align][sign][z][#][0][width][grouping][.precision][type].
std::string format_value(Heap& heap, const Value& value, std::string_view spec);

// A finite or infinite double as C's %e, %f or %g (or the capital ones) prints it; nan and inf as Python writes them.
std::string format_real(double value, char type, int precision, bool alternate);

// `text` filled up to `width` code points; align is '<', '>', '^', or '=' (behind the sign or prefix of `lead` bytes).
std::string padded(Heap& heap, std::string text, size_t width, std::string_view fill, char align, size_t lead = 0);

}  // namespace nemotron::jinja
