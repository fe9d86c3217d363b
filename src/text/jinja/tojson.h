// Python's json.dumps of a template value, with the arguments transformers gives its tojson filter.

#pragma once

#include <string>

#include "text/jinja/value.h"

namespace nemotron::jinja {

struct JsonStyle {
  bool ascii = false;  // escape what is not ASCII
  bool pretty = false;
  std::string indent = {};  // of one level, where pretty
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

std::string dump_json(Heap& heap, const Value& value, const JsonStyle& style);

}  // namespace nemotron::jinja
