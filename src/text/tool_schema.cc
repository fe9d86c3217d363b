// ToolSchemas: names of types as schemas in use spell them.

#include "text/tool_schema.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace nemotron {
namespace {

struct Spelling {
  std::string_view start;  // of the type's name, in lower case
  JsonType type;
};
constexpr Spelling kSpellings[] = {
    {"str", JsonType::kString},       {"text", JsonType::kString},  {"varchar", JsonType::kString},
    {"char", JsonType::kString},      {"enum", JsonType::kString},  {"int", JsonType::kInteger},
    {"uint", JsonType::kInteger},     {"long", JsonType::kInteger}, {"short", JsonType::kInteger},
    {"unsigned", JsonType::kInteger}, {"num", JsonType::kNumber},   {"float", JsonType::kNumber},
    {"double", JsonType::kNumber},    {"bool", JsonType::kBoolean}, {"arr", JsonType::kArray},
    {"list", JsonType::kArray},       {"obj", JsonType::kObject},   {"dict", JsonType::kObject},
    {"null", JsonType::kNull},        {"none", JsonType::kNull},
};

bool is_space(char32_t c) {  // Unicode's, and the separators of ASCII
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void add(std::vector<JsonType>& types, JsonType type) {
  if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
}

void add_named(std::vector<JsonType>& types, std::string_view name) {
  while (!name.empty()) {
    const Utf8 next = decode_utf8(name);
    if (!is_space(next.code_point)) break;
    name.remove_prefix(next.length);
  }
  const auto same = [](char spelled, char given) {
    return spelled == (given >= 'A' && given <= 'Z' ? char(given - 'A' + 'a') : given);
  };
  for (const Spelling& s : kSpellings) {
    if (name.size() >= s.start.size() && std::equal(s.start.begin(), s.start.end(), name.begin(), same)) {
      add(types, s.type);
    }
  }
}

// As deep as the JSON is, whose depth is limited where it is read.
std::vector<JsonType> types_of(const Json& schema) {
  std::vector<JsonType> types;
  const auto named = [&](const Json& name) {
    if (name.is_string()) add_named(types, name.string());
  };
  if (const Json* type = schema.find("type")) {
    named(*type);
    if (type->is_array()) {
      for (const Json& name : type->array()) name.is_null() ? add(types, JsonType::kNull) : named(name);
    }
  }
  for (const char* key : {"anyOf", "oneOf"}) {
    const Json* choices = schema.find(key);
    if (!choices || !choices->is_array()) continue;
    for (const Json& choice : choices->array())
      for (const JsonType type : types_of(choice)) add(types, type);
  }
  return types;
}

ToolSchema schema_of(const Json& function) {
  ToolSchema schema;
  const Json* parameters = function.find("parameters");
  const Json* properties = parameters ? parameters->find("properties") : nullptr;
  if (!properties || !properties->is_object()) return schema;
  for (const auto& [name, property] : properties->object())
    schema.parameters.insert_or_assign(name, types_of(property));
  return schema;
}

}  // namespace

ToolSchemas ToolSchemas::from_json(const Json& tools, const std::string& where) {
  ToolSchemas out;
  if (tools.is_null()) return out;
  const auto expect = [&](bool holds, const std::string& what, const char* expected, const char* found) {
    if (!holds) throw Error({.what = what, .where = where, .expected = expected, .found = found});
  };
  expect(tools.is_array(), "the tools", "a list of tools", tools.kind());
  for (size_t i = 0; i < tools.array().size(); ++i) {
    const Json& tool = tools.array()[i];
    const std::string place = "tool " + std::to_string(i);
    expect(tool.is_object(), place, "object", tool.kind());
    const Json* wrapped = tool.find("function");
    const Json& function = wrapped ? *wrapped : tool;
    expect(function.is_object(), place + ": 'function'", "object", function.kind());
    const Json* name = function.find("name");
    expect(name && name->is_string(), place + ": 'name'", "string", name ? name->kind() : "nothing");
    out.tools_.insert_or_assign(name->string(), schema_of(function));
  }
  return out;
}

const ToolSchema* ToolSchemas::find(std::string_view name) const {
  const auto found = tools_.find(name);
  return found == tools_.end() ? nullptr : &found->second;
}

}  // namespace nemotron
