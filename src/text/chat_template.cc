// ChatTemplate: where templates and special tokens stand in a folder, and what a template sees.

#include "text/chat_template.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/map.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTemplate = uint64_t{4} << 20;
constexpr uint64_t kMaxConfig = uint64_t{64} << 20;  // tokenizer_config.json lists a thousand added tokens, and more
constexpr size_t kMaxTemplates = 100;                // of one folder; those published have two

// The fields under which a message's reasoning is given; the first is the one templates read.
constexpr std::array<std::string_view, 3> kReasoning = {"reasoning_content", "thinking", "reasoning"};

std::optional<Json> read_json_object(const fs::path& path) {
  if (!fs::is_regular_file(path)) return std::nullopt;
  Json json = parse_json(read_file(path, kMaxConfig), path.string());
  if (!json.is_object()) throw Error({.what = "not a JSON object", .where = path.string(), .found = json.kind()});
  return json;
}

// The files additional_chat_templates/*.jinja, by name.
std::vector<fs::path> additional_templates(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "additional_chat_templates", error)) {
    if (entry.path().extension() != ".jinja") continue;
    if (out.size() == kMaxTemplates) {
      throw Error({.what = "more than 100 chat templates", .where = entry.path().parent_path().string()});
    }
    out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

const std::string& string_field(const Json& object, const char* name, const std::string& where) {
  const Json* value = object.find(name);
  if (!value || !value->is_string()) {
    throw Error({.what = std::string("field '") + name + "'",
                 .where = where,
                 .expected = "string",
                 .found = value ? value->kind() : "nothing"});
  }
  return value->string();
}

// A special token is written as its text or as an object with the text as `content`.
const std::string* token_text(const Json& value) {
  if (value.is_string()) return &value.string();
  const Json* content = value.find("content");
  return content && content->is_string() ? &content->string() : nullptr;
}

void add_special_tokens(Json& tokens, const Json& config) {
  for (const auto& [key, value] : config.object()) {
    const std::string* text = key.ends_with("_token") ? token_text(value) : nullptr;
    if (text) tokens.set(key, *text);
  }
  const Json* extra = config.find("extra_special_tokens");  // named ones, such as those for images
  if (!extra || !extra->is_object()) return;
  for (const auto& [key, value] : extra->object()) {
    if (const std::string* text = token_text(value)) tokens.set(key, *text);
  }
}

// tokenizer_config.json has them; where it lists no added tokens, as long ago, special_tokens_map.json comes on top.
Json special_tokens_of(const fs::path& folder) {
  Json tokens = Json::Object();
  const std::optional<Json> config = read_json_object(folder / "tokenizer_config.json");
  if (config) add_special_tokens(tokens, *config);
  if (config && config->find("added_tokens_decoder")) return tokens;
  if (const auto map = read_json_object(folder / "special_tokens_map.json")) add_special_tokens(tokens, *map);
  return tokens;
}

// Whichever reasoning is given stands under `reasoning_content` and, as a first key, `thinking`.
Json with_reasoning(const Json& message) {
  const Json* reasoning = nullptr;
  for (const std::string_view name : kReasoning) {
    const Json* value = message.find(name);
    if (value && !value->is_null()) {
      reasoning = value;
      break;
    }
  }
  if (!reasoning) return message;
  Json out = Json::Object();
  out.set("thinking", *reasoning);
  for (const auto& [key, value] : message.object()) out.set(key, value);
  out.set(kReasoning[0], *reasoning);
  return out;
}

void check_list_of_objects(const Json& value, const char* field, const std::string& where) {
  const auto fail = [&](const std::string& name, const Json& found) {
    throw Error({.what = "field '" + name + "'",
                 .where = where,
                 .expected = name == field ? "array" : "object",
                 .found = found.kind()});
  };
  if (!value.is_array()) fail(field, value);
  for (size_t i = 0; i < value.array().size(); ++i) {
    const Json& item = value.array()[i];
    if (!item.is_object()) fail(std::string(field) + "[" + std::to_string(i) + "]", item);
  }
}

}  // namespace

Conversation parse_conversation(const Json& request, const std::string& where) {
  if (!request.is_object()) {
    throw Error({.what = "a conversation", .where = where, .expected = "object", .found = request.kind()});
  }
  const auto field = [&](const char* name) {
    const Json* value = request.find(name);
    return value ? *value : Json();
  };
  Conversation out;
  out.messages = field("messages");
  check_list_of_objects(out.messages, "messages", where);
  out.tools = field("tools");
  if (!out.tools.is_null()) check_list_of_objects(out.tools, "tools", where);
  out.documents = field("documents");
  if (const Json kwargs = field("kwargs"); !kwargs.is_null()) {
    if (!kwargs.is_object()) {
      throw Error({.what = "field 'kwargs'", .where = where, .expected = "object", .found = kwargs.kind()});
    }
    for (const char* own : {"messages", "tools", "add_generation_prompt"}) {
      if (kwargs.find(own)) {
        throw Error({.what = std::string("field 'kwargs' has '") + own + "', which is a field of the request itself",
                     .where = where});
      }
    }
    out.kwargs = kwargs;
    if (const Json* documents = kwargs.find("documents")) out.documents = *documents;
  }
  if (!out.documents.is_null()) check_list_of_objects(out.documents, "documents", where);
  if (const Json flag = field("add_generation_prompt"); !flag.is_null()) {
    if (!flag.is_bool()) {
      throw Error(
          {.what = "field 'add_generation_prompt'", .where = where, .expected = "boolean", .found = flag.kind()});
    }
    out.add_generation_prompt = flag.boolean();
  }
  return out;
}

void ChatTemplate::add(const std::string& name, const std::string& source, const std::string& file) {
  if (templates_.size() == kMaxTemplates) throw Error({.what = "more than 100 chat templates", .where = where_});
  Named named;
  named.name = name;
  try {
    named.parsed = jinja::Template::parse(source, file);
  } catch (const jinja::TemplateError&) {
    named.error = std::current_exception();
  }
  const auto same = std::find_if(templates_.begin(), templates_.end(), [&](const Named& t) { return t.name == name; });
  if (same != templates_.end())
    *same = std::move(named);
  else
    templates_.push_back(std::move(named));
}

bool ChatTemplate::present(const fs::path& folder) {
  if (fs::is_regular_file(folder / "chat_template.jinja") || fs::is_regular_file(folder / "chat_template.json"))
    return true;
  if (!additional_templates(folder).empty()) return true;
  const auto config = read_json_object(folder / "tokenizer_config.json");
  const Json* value = config ? config->find("chat_template") : nullptr;
  return value && !value->is_null();
}

ChatTemplate ChatTemplate::from_folder(const fs::path& folder) {
  ChatTemplate out;
  out.where_ = folder.string();
  out.special_tokens_ = special_tokens_of(folder);

  // Files of their own replace what the configuration holds.
  const fs::path main = folder / "chat_template.jinja";
  if (fs::is_regular_file(main)) out.add("default", read_file(main, kMaxTemplate), main.string());
  for (const fs::path& path : additional_templates(folder)) {
    out.add(path.stem().string(), read_file(path, kMaxTemplate), path.string());
  }
  if (!out.templates_.empty()) return out;

  for (const char* file : {"tokenizer_config.json", "chat_template.json"}) {
    const fs::path path = folder / file;
    const auto config = read_json_object(path);
    const Json* value = config ? config->find("chat_template") : nullptr;
    if (!value || value->is_null()) continue;
    const std::string where = path.string() + ": chat_template";
    if (value->is_string()) {
      out.add("default", value->string(), where);
    } else if (value->is_array()) {
      for (const Json& entry : value->array()) {
        const std::string& name = string_field(entry, "name", where);
        out.add(name, string_field(entry, "template", where), where + " '" + name + "'");
      }
    } else {
      throw Error({.what = "field 'chat_template'",
                   .where = path.string(),
                   .expected = "string, or list of objects with name and template",
                   .found = value->kind()});
    }
    if (!out.templates_.empty()) return out;
  }
  throw Error({.what = "no chat template",
               .where = out.where_,
               .expected = "chat_template.jinja, additional_chat_templates/ or chat_template in tokenizer_config.json",
               .hint = "give one with --template FILE"});
}

ChatTemplate ChatTemplate::from_source(const std::string& source, const std::string& name, const fs::path& folder) {
  ChatTemplate out;
  out.where_ = name;
  if (!folder.empty()) out.special_tokens_ = special_tokens_of(folder);
  out.add("default", source, name);
  return out;
}

const jinja::Template& ChatTemplate::choose(bool with_tools) const {
  const auto find = [&](const char* name) {
    return std::find_if(templates_.begin(), templates_.end(), [&](const Named& t) { return t.name == name; });
  };
  auto chosen = with_tools ? find("tool_use") : templates_.end();
  if (chosen == templates_.end()) chosen = find("default");
  if (chosen == templates_.end()) {
    std::string names;
    for (const Named& t : templates_) names += (names.empty() ? "" : ", ") + t.name;
    throw Error({.what = "no default chat template",
                 .where = where_,
                 .expected = "one named default",
                 .found = names,
                 .hint = "give one with --template FILE"});
  }
  if (chosen->error) std::rethrow_exception(chosen->error);
  return *chosen->parsed;
}

std::string ChatTemplate::render(const Conversation& conversation, const jinja::RenderOptions& options) const {
  Json::Array messages;
  messages.reserve(conversation.messages.array().size());
  for (const Json& message : conversation.messages.array()) messages.push_back(with_reasoning(message));

  Json variables = special_tokens_;
  for (const auto& [name, value] : conversation.kwargs.object()) variables.set(name, value);
  variables.set("messages", Json(std::move(messages)));
  variables.set("tools", conversation.tools);
  variables.set("documents", conversation.documents);
  variables.set("add_generation_prompt", conversation.add_generation_prompt);
  return choose(!conversation.tools.is_null()).render(variables, options);
}

}  // namespace nemotron
