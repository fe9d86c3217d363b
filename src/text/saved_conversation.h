// A conversation as a file: its messages, the tools offered, the effort; read back from anywhere, so checked.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace nemotron {

// {"format": "nemotron-conversation-1", "think": "on", "tools": […], "messages": […]}
struct SavedConversation {
  std::string think = "default";  // as Effort::name() writes it
  Json tools = {};                // list, or null
  Json messages = Json::Array();  // as chat templates take them
};

// Throws Error naming `where` and the message for what is no saved conversation: every message is an object with a text
// as role, a text as content (null or missing beside tool_calls), perhaps a text as reasoning_content, and tool_calls
// that each have a function with a name and an object of arguments. What tools are is for ToolSchemas to say.
SavedConversation parse_conversation_file(std::string_view text, const std::string& where);
std::string dump_conversation_file(const SavedConversation& conversation);

// A call that waits for what its function returns; the id is empty where the message has none.
struct WaitingCall {
  std::string name, id;
  friend bool operator==(const WaitingCall&, const WaitingCall&) = default;
};
// The calls of the last assistant message that no tool message after it has answered, in order.
std::vector<WaitingCall> unanswered_calls(const Json& messages);

}  // namespace nemotron
