// read_tools: a file from a stranger, so its size is looked at first.

#include "cli/tools.h"

#include <utility>

#include "base/error.h"
#include "base/map.h"

namespace nemotron::cli {

namespace {
constexpr uint64_t kMaxTools = uint64_t{16} << 20;  // the largest published collections of tools have a tenth of that
}

Tools read_tools(const std::string& path) {
  Json json = parse_json(read_file(path, kMaxTools), path);
  if (json.is_object()) {
    const Json* list = json.find("tools");
    if (!list) {
      throw Error(
          {.what = "no tools", .where = path, .expected = "a list of tools, or {\"tools\": […]}", .found = "object"});
    }
    json = Json(*list);
  }
  Tools tools{.list = std::move(json), .schemas = {}};
  tools.schemas = ToolSchemas::from_json(tools.list, path);
  if (tools.schemas.empty()) tools.list = nullptr;
  return tools;
}

std::vector<std::string> tool_names(const Json& list) {
  std::vector<std::string> names;
  if (list.is_null()) return names;
  for (const Json& tool : list.array()) {
    const Json* function = tool.find("function");
    names.push_back((function ? function : &tool)->find("name")->string());
  }
  return names;
}

}  // namespace nemotron::cli
