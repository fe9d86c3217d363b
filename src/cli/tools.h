// The --tools FILE of several commands: the functions that a conversation offers.

#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/tool_schema.h"

namespace nemotron::cli {

struct Tools {
  Json list;            // for the chat template: a list of tools, or null where none are offered
  ToolSchemas schemas;  // for the parser
};

// A file with a JSON list of tools, or {"tools": […]}. Throws Error naming the file, the tool and the field.
Tools read_tools(const std::string& path);

// The names in such a list, or none for null.
std::vector<std::string> tool_names(const Json& list);

}  // namespace nemotron::cli
