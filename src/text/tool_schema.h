// The functions that a conversation offers, and which JSON types each of their parameters may have.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nemotron {

enum class JsonType : uint8_t { kString, kInteger, kNumber, kBoolean, kArray, kObject, kNull };

struct ToolSchema {
  // What each parameter may be, in the schema's order, none twice; an empty list where the schema does not say.
  // `type` (a name or a list of names, in many spellings), anyOf and oneOf are read, all else is left to the model.
  std::map<std::string, std::vector<JsonType>, std::less<>> parameters;
};

class ToolSchemas {
 public:
  ToolSchemas() = default;  // nothing is offered

  // A list of {"type": "function", "function": {"name", "parameters": {"properties": {…}}}}, or of what stands under
  // "function" by itself; null is an empty list. Of two functions of one name the last counts. Schemas of odd types say
  // nothing. Throws Error naming `where` and the place for what is no list of tools, or a tool without a name.
  static ToolSchemas from_json(const Json& tools, const std::string& where);

  bool empty() const { return tools_.empty(); }
  const ToolSchema* find(std::string_view name) const;

 private:
  std::map<std::string, ToolSchema, std::less<>> tools_;
};

}  // namespace nemotron
