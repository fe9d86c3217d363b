// Saved conversations: one pass of checks over each message.

#include "text/saved_conversation.h"

#include "base/error.h"
#include "text/effort.h"
#include "text/python_json.h"

namespace nemotron {
namespace {

constexpr const char* kFormat = "nemotron-conversation-1";

// Arguments of calls may hold numbers beyond 64 bits, which only the slower reader keeps.
Json parse_file(std::string_view text, const std::string& where) {
  try {
    return parse_json(text, where);
  } catch (const Error&) {
    std::optional<Json> json = read_json(text);
    if (!json) throw;
    return *std::move(json);
  }
}

Error fault(const std::string& where, const char* expected) {
  return Error({.what = "not a saved conversation", .where = where, .expected = expected});
}

bool is_text(const Json* value) { return value && value->is_string(); }
bool is_missing(const Json* value) { return !value || value->is_null(); }

void check_call(const Json& call, const std::string& where) {
  const Json* function = call.find("function");
  const Json* arguments = function ? function->find("arguments") : nullptr;
  if (!function || !is_text(function->find("name")) || !arguments || !arguments->is_object())
    throw fault(where, "tool_calls with a function of a name and an object of arguments");
}

void check_message(const Json& message, const std::string& where) {
  if (!is_text(message.find("role"))) throw fault(where, "messages with \"role\" and \"content\" texts");
  const Json *content = message.find("content"), *reasoning = message.find("reasoning_content");
  const Json* calls = message.find("tool_calls");
  if (!is_missing(calls)) {
    if (!calls->is_array()) throw fault(where, "\"tool_calls\": a list");
    for (const Json& call : calls->array()) check_call(call, where);
  }
  if (!is_text(content) && !(is_missing(content) && !is_missing(calls)))
    throw fault(where, "messages with \"role\" and \"content\" texts");
  if (!is_missing(reasoning) && !reasoning->is_string()) throw fault(where, "\"reasoning_content\": a text");
}

}  // namespace

SavedConversation parse_conversation_file(std::string_view text, const std::string& where) {
  const Json file = parse_file(text, where);
  const Json *format = file.find("format"), *think = file.find("think"), *messages = file.find("messages");
  if (!format || *format != Json(kFormat)) throw fault(where, "\"format\": \"nemotron-conversation-1\"");
  SavedConversation out;
  if (!is_text(think)) throw fault(where, "\"think\": a text");
  out.think = Effort::parse(think->string(), where + ": think").name();
  if (const Json* tools = file.find("tools"); !is_missing(tools)) {
    if (!tools->is_array()) throw fault(where, "\"tools\": a list");
    out.tools = *tools;
  }
  if (!messages || !messages->is_array()) throw fault(where, "\"messages\": a list");
  for (size_t i = 0; i < messages->array().size(); ++i)
    check_message(messages->array()[i], where + ", message " + std::to_string(i));
  out.messages = *messages;
  return out;
}

std::string dump_conversation_file(const SavedConversation& c) {
  Json file;
  file.set("format", kFormat).set("think", c.think);
  if (!c.tools.is_null()) file.set("tools", c.tools);
  return file.set("messages", c.messages).dump() + "\n";
}

std::vector<WaitingCall> unanswered_calls(const Json& messages) {
  const Json::Array& list = messages.array();
  size_t end = list.size();
  while (end > 0 && *list[end - 1].find("role") == Json("tool")) --end;
  if (end == 0 || *list[end - 1].find("role") != Json("assistant")) return {};
  const Json* calls = list[end - 1].find("tool_calls");
  std::vector<WaitingCall> waiting;
  if (is_missing(calls)) return waiting;
  for (size_t i = list.size() - end; i < calls->array().size(); ++i) {
    const Json& call = calls->array()[i];
    const Json* id = call.find("id");
    waiting.push_back({call.find("function")->find("name")->string(), is_text(id) ? id->string() : ""});
  }
  return waiting;
}

}  // namespace nemotron
