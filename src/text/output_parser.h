// Splits what a model writes into its thought, its answer and its tool calls, while it is being written.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tool_schema.h"

namespace nemotron {

struct ToolCall {
  std::string name;
  Json arguments = Json::Object();  // in order of appearance, each of a type that the tool's schema allows, or a string
  bool complete = false;            // closed; a call cut off by the end of the output is not

  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

struct ParsedOutput {
  std::optional<std::string> reasoning, content;  // never empty
  std::vector<ToolCall> tool_calls;

  friend bool operator==(const ParsedOutput&, const ParsedOutput&) = default;
};

// How the prompt ended, and what was asked for.
struct OutputStyle {
  bool thinking_open = true;            // the prompt ended inside the thought (after "<think>"), not after it
  bool force_nonempty_content = false;  // a thought with nothing after it is the answer
};

// One thing for whoever shows the output as it comes. Applied in order, they give the result, however the text was cut.
struct OutputDelta {
  enum Kind {
    kReasoning,   // `text` is appended to the reasoning
    kContent,     // `text` is appended to the content
    kCallBegins,  // call number `index` is one of the function `text`; its arguments come later
    kCallEnds,    // call number `index` is `call`, in full
    kRestart      // all that was sent is void; what follows starts from nothing
  };
  Kind kind;
  std::string text = {};
  size_t index = 0;
  ToolCall call = {};
};

// The tags are those that the templates of this family teach: <think>…</think>, and
// <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>. What is read as what, where tags
// are missing, misplaced or part of a value, is spec/model.md 9.3. Bytes outside of tags are never lost nor changed,
// but for the newlines that the template writes at its tags. Time and memory are linear in the text.
//
// Deltas come as early as they can be certain; what may be the start of a tag, or a newline that may belong to one, is
// held back. Three rare outputs are sent as one thing and turn out to be another, and cause a restart: an end of a
// thought after a prompt that had closed it, an answer that stays blank where the thought is then the answer.
class OutputParser {
 public:
  // `tools` may be null (nothing is offered: calls are text) and otherwise must outlive the parser.
  explicit OutputParser(OutputStyle style, const ToolSchemas* tools = nullptr);
  ~OutputParser();
  OutputParser(OutputParser&&) noexcept;
  OutputParser& operator=(OutputParser&&) noexcept;

  std::vector<OutputDelta> put(std::string_view piece);  // cut anywhere, also within a character
  std::vector<OutputDelta> finish();                     // the end of the output; once, and nothing is put after it

  bool thinking() const;               // as far as it is known the thought goes on
  const ParsedOutput& result() const;  // of all deltas so far

  // Whether a prompt ends inside a thought: "<think>" comes last, but for blanks.
  static bool opens(std::string_view prompt);

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace nemotron
