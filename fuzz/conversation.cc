// Fuzzes saved conversations: what is accepted is written, read back equal, and rendered by a template or refused by
// it.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/chat_template.h"
#include "text/effort.h"
#include "text/saved_conversation.h"

namespace {

// A template that looks at everything a message may hold.
constexpr const char* kTemplate = R"(
{%- for m in messages %}{{ m.role }}: {{ m.content }}{{ m.reasoning_content or '' }}
{%- for c in m.tool_calls or [] %}{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson }}
{%- endfor %}){% endfor %}
{% endfor %}{{ tools | tojson }}{{ enable_thinking }}{{ low_effort }})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  static const ChatTemplate chat_template = ChatTemplate::from_source(kTemplate, "template", {});
  static const jinja::RenderOptions options{.now = jinja::parse_time("2026-11-21T09:05:07", "fuzz"),
                                            .limits = {.work = 300'000, .memory = size_t{32} << 20}};
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const SavedConversation c = parse_conversation_file(text, "file");
    const SavedConversation again = parse_conversation_file(dump_conversation_file(c), "again");
    // As text: a NaN is not equal to itself.
    if (dump_conversation_file(again) != dump_conversation_file(c)) std::abort();
    unanswered_calls(c.messages);
    const EffortSwitch chosen = switch_effort(chat_template.choose(false), Effort::parse(c.think, "think"));
    chat_template.render({.messages = c.messages, .tools = c.tools, .kwargs = chosen.kwargs}, options);
  } catch (const Error&) {
  }
  return 0;
}
