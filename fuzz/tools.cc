// Fuzzes tool schemas and the values that are read by them: JSON for the tools up to a NUL byte, then values with NUL
// bytes between them. A value must come out as a type that its schema allows, or as the text it was.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/argument.h"
#include "text/python_json.h"

namespace {

using namespace nemotron;

void check(bool holds) {
  if (!holds) std::abort();
}

bool allowed(const Json& value, const std::vector<JsonType>& types, std::string_view text) {
  const auto allows = [&](JsonType type) { return std::find(types.begin(), types.end(), type) != types.end(); };
  if (value.is_string()) return value.string() == text;
  if (value.is_null()) return !types.empty() && (allows(JsonType::kNull) || !allows(JsonType::kString));
  if (value.is_bool()) return allows(JsonType::kBoolean);
  if (value.is_double()) return allows(JsonType::kNumber);
  if (value.is_number()) return allows(JsonType::kNumber) || allows(JsonType::kInteger);
  return allows(value.is_array() ? JsonType::kArray : JsonType::kObject);
}

void check_value(std::string_view text, const std::vector<JsonType>& types) {
  const Json value = argument_value(text, types);
  check(allowed(value, types, text));
  const std::string written = value.dump();  // is JSON, and the same when it is read
  const std::optional<Json> again = read_json(written);
  check(again && again->dump() == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string_view json = bytes.substr(0, bytes.find('\0'));
  bytes.remove_prefix(std::min(json.size() + 1, bytes.size()));
  const std::vector<std::vector<JsonType>> always = {{},
                                                     {JsonType::kArray, JsonType::kObject},
                                                     {JsonType::kInteger, JsonType::kBoolean},
                                                     {JsonType::kNumber},
                                                     {JsonType::kNull}};
  ToolSchemas tools;
  std::vector<std::string> names;
  try {
    const Json list = parse_json(json, "tools", 64);
    tools = ToolSchemas::from_json(list, "tools");
    for (const Json& tool : list.is_array() ? list.array() : Json::Array()) {
      const Json* wrapped = tool.find("function");
      names.push_back((wrapped ? *wrapped : tool).find("name")->string());
    }
  } catch (const Error&) {
  }
  for (const std::string& name : names) check(tools.find(name));
  for (int count = 0; count < 16 && !bytes.empty(); ++count) {
    const std::string_view value = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(std::min(value.size() + 1, bytes.size()));
    for (const auto& types : always) check_value(value, types);
    for (const std::string& name : names)
      for (const auto& [key, types] : tools.find(name)->parameters) check_value(value, types);
  }
  return 0;
}
