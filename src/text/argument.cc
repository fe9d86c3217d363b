// argument_value: one attempt per type.

#include "text/argument.h"

#include <algorithm>
#include <optional>
#include <string>

#include "text/call_tags.h"
#include "text/python_json.h"

namespace nemotron {
namespace {

bool is_word(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char given, char wanted) {
    return (given >= 'A' && given <= 'Z' ? char(given - 'A' + 'a') : given) == wanted;
  });
}

std::optional<Json> container(std::string_view text, char open) {
  if (!text.starts_with(open)) return {};
  std::optional<Json> out = read_json(text);
  return out ? out : read_python_json(text);
}

std::optional<Json> as_type(std::string_view text, std::string_view bare, JsonType type) {
  switch (type) {
    case JsonType::kString:
      return Json(text);
    case JsonType::kInteger: {
      std::optional<Json> number = read_number(bare);
      return number && !number->is_double() ? number : std::nullopt;
    }
    case JsonType::kNumber:
      return read_number(bare);
    case JsonType::kBoolean:
      if (is_word(bare, "true")) return Json(true);
      if (is_word(bare, "false")) return Json(false);
      return {};
    case JsonType::kArray:
      return container(bare, '[');
    case JsonType::kObject:
      return container(bare, '{');
    case JsonType::kNull:
      return {};  // the words for it are looked at before all types
  }
  return {};
}

}  // namespace

Json argument_value(std::string_view text, const std::vector<JsonType>& types) {
  const std::string_view bare = trim_blanks(text);
  const auto allows = [&](JsonType type) { return std::find(types.begin(), types.end(), type) != types.end(); };
  if (types.empty()) return Json(text);
  if ((bare == "null" || bare == "None") && (allows(JsonType::kNull) || !allows(JsonType::kString))) return {};
  for (const JsonType type : types) {
    if (std::optional<Json> value = as_type(text, bare, type)) return std::move(*value);
  }
  return Json(text);
}

}  // namespace nemotron
