// Python's str(), repr() and ascii() of every value, and the HTML escaping of markupsafe.

#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

std::string str(const Value& value);
std::string repr(const Value& value);
std::string ascii(const Value& value);  // repr with \x, \u and \U for what is not ASCII
std::string repr_float(double value);
std::string repr_text(std::string_view text);

}  // namespace nemotron::jinja
