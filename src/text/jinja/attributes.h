// x.name and x[key]: what templates may reach, as Jinja's immutable sandbox decides it.

#pragma once

#include <string>

#include "text/jinja/value.h"

namespace nemotron::jinja {

// Never a failure of its own for something absent: then an Undefined that knows what was looked for. Looking into an
// Undefined throws.
Value get_attribute(Interpreter& in, const Value& object, const std::string& name);
Value get_item(Interpreter& in, const Value& object, const Value& key);

// An attribute proper, without looking among items; missing where there is none.
Value get_own_attribute(Interpreter& in, const Value& object, const std::string& name);

void set_namespace_attribute(Namespace& space, const Value& name, Value value);

}  // namespace nemotron::jinja
