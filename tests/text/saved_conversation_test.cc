// Saved conversations: what is written reads back, and what is damaged is refused by place.

#include "text/saved_conversation.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nemotron {
namespace {

const char* const kCalls =
    R"({"format": "nemotron-conversation-1", "think": "100", "tools": [{"name": "f"}], "messages": [)"
    R"({"role": "user", "content": "a"}, {"role": "assistant", "content": null, "reasoning_content": "r", "tool_calls": )"
    R"([{"id": "one", "function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g", "arguments": {}}}]})"
    "\n";

TEST(SavedConversation, reads_back_as_it_was_written) {
  const std::string text = std::string(kCalls) + "]}";
  const SavedConversation c = parse_conversation_file(text, "file");
  EXPECT_EQ(c.think, "100");
  EXPECT_EQ(c.tools.array().size(), 1u);
  const SavedConversation again = parse_conversation_file(dump_conversation_file(c), "file");
  EXPECT_EQ(again.messages, c.messages);
  EXPECT_EQ(again.tools, c.tools);
  EXPECT_EQ(again.think, c.think);
  EXPECT_TRUE(parse_conversation_file(dump_conversation_file({}), "file").messages.array().empty());
}

TEST(SavedConversation, keeps_numbers_of_any_size) {
  const std::string call = R"({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": )"
                           R"([123456789012345678901234567890, 1e400]}}}]})";
  const SavedConversation c = parse_conversation_file(
      R"({"format": "nemotron-conversation-1", "think": "on", "messages": [)" + call + "]}", "f");
  EXPECT_EQ(dump_conversation_file(c),
            R"({"format": "nemotron-conversation-1", "think": "on", "messages": [)" + call + "]}\n");
}

TEST(SavedConversation, knows_which_calls_wait_for_an_answer) {
  const auto waiting = [](const std::string& more) {
    return unanswered_calls(parse_conversation_file(kCalls + more + "]}", "file").messages);
  };
  using Calls = std::vector<WaitingCall>;
  EXPECT_EQ(waiting(""), (Calls{{"f", "one"}, {"g", ""}}));
  EXPECT_EQ(waiting(R"(, {"role": "tool", "content": "1"})"), (Calls{{"g", ""}}));
  EXPECT_EQ(waiting(R"(, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"})"), Calls{});
  EXPECT_EQ(waiting(R"(, {"role": "tool", "content": "1"}, {"role": "user", "content": "2"})"), Calls{});
  EXPECT_EQ(unanswered_calls(Json(Json::Array{})), Calls{});
  EXPECT_EQ(unanswered_calls(Json(Json::Array{Json().set("role", "tool").set("content", "")})), Calls{});
}

TEST(SavedConversation, refuses_what_is_none) {
  const std::string head = R"({"format": "nemotron-conversation-1", "think": "on", )";
  for (const std::string& bad :
       {std::string("[]"), std::string("{"), std::string(R"({"format": 1})"),
        std::string(R"({"format": "nemotron-conversation-1", "messages": []})"),
        std::string(R"({"format": "nemotron-conversation-1", "think": "hard", "messages": []})"),
        head + R"("messages": {}})", head + R"("messages": [1]})",
        head + R"("messages": [{"role": 3, "content": ""}]})", head + R"("messages": [{"role": "user"}]})",
        head + R"("messages": [{"role": "user", "content": 4}]})",
        head + R"("messages": [{"role": "user", "content": "", "reasoning_content": 1}]})",
        head + R"("messages": [{"role": "assistant", "content": "", "tool_calls": {}}]})",
        head + R"("messages": [{"role": "assistant", "tool_calls": [1]}]})",
        head + R"("messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]})",
        head +
            R"("messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]})",
        head + R"("tools": {}, "messages": []})", std::string(100000, '[')}) {
    try {
      parse_conversation_file(bad, "the file");
      ADD_FAILURE() << bad.substr(0, 200);
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("the file"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace nemotron
