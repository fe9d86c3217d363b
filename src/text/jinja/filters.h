// The filters of the template language by name: Jinja's own, and tojson as transformers defines it.

#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

struct FilterEntry {
  const char* name;
  MethodBody body;
};

// Null where there is no such filter.
MethodBody find_filter(std::string_view name);

// The two tables behind it, sorted by name.
MethodBody find_text_filter(std::string_view name);
MethodBody find_sequence_filter(std::string_view name);

}  // namespace nemotron::jinja
