// Python's printf-style formatting: text % values.

#pragma once

#include "text/jinja/value.h"

namespace nemotron::jinja {

// `values` is a tuple, a mapping, or a single value. Markup escapes what is put in.
Value percent_format(Heap& heap, const Value& format, const Value& values);

}  // namespace nemotron::jinja
