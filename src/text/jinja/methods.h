// The methods of strings and of collections, by name.

#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

struct MethodEntry {
  const char* name;
  MethodBody body;
};

// Null where there is no such method.
const MethodEntry* find_string_method(std::string_view name);
const MethodEntry* find_collection_method(Kind kind, std::string_view name);

}  // namespace nemotron::jinja
