// A tool call's argument: the text that the model wrote as a value of a type that the schema allows.

#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tool_schema.h"

namespace nemotron {

// The types are tried in their order, null first; a text that fits none, or has no types to fit, stays a string as it
// is. Nothing is invented: no digit is lost, and what is not true or false is no boolean. Linear in the text.
Json argument_value(std::string_view text, const std::vector<JsonType>& types);

}  // namespace nemotron
