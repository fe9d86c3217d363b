// Splits an answer, which is what follows the thought, into content and tool calls while it is being written.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/call_tags.h"
#include "text/output_parser.h"
#include "text/tool_schema.h"

namespace nemotron {

// Calls are found by their tags; text before, between and behind them is content, its pieces joined by newlines.
class AnswerParser {
 public:
  // The answer begins at `begin` of the text. Where nothing is offered (null or empty) all of it is content.
  AnswerParser(const ToolSchemas* tools, size_t begin)
      : tools_(tools), begin_(begin), sent_(begin), blank_(begin), tags_(begin) {}

  // Reads on in `text`, which starts with the texts of earlier calls; `end`: nothing is added any more.
  void advance(std::string_view text, bool end, std::vector<OutputDelta>& out);

 private:
  enum class Place { kText, kFunction, kValue };

  // A place in the text behind which a tag is awaited, with nothing but blanks between.
  struct Expected {
    size_t start, blank;  // where the tag before it starts; to where there are blanks
  };

  bool offered() const { return tools_ && !tools_->empty(); }
  bool needs_follower(const Tag& tag) const;
  void take(std::string_view text, const Tag& tag, std::optional<Follower> follower, std::vector<OutputDelta>& out);
  void take_in_text(std::string_view text, const Tag& tag, std::vector<OutputDelta>& out);
  void take_in_function(std::string_view text, const Tag& tag, std::vector<OutputDelta>& out);
  void take_in_value(std::string_view text, const Tag& tag, std::optional<Follower> follower,
                     std::vector<OutputDelta>& out);

  void show(std::string_view text, size_t limit, bool whole, std::vector<OutputDelta>& out);
  void begin_call(std::string_view text, const Tag& function, size_t piece_end, bool in_block,
                  std::vector<OutputDelta>& out);
  void end_call(size_t end, bool complete, std::vector<OutputDelta>& out);
  void begin_value(std::string_view text, const Tag& parameter);
  void end_value(std::string_view text, size_t end);

  const ToolSchemas* tools_;
  size_t begin_;

  // Content: pieces of text between calls.
  size_t sent_;         // of the current piece all before this is sent, or dropped
  size_t blank_;        // while nothing of the piece is sent: there are blanks to here
  bool shown_ = false;  // some content was sent
  bool piece_shown_ = false;

  TagScanner tags_;
  std::optional<Tag> pending_;  // came out of the scanner, but what follows it is not known yet
  Place place_ = Place::kText;
  std::optional<Expected> block_;  // a <tool_call>, which is one if a function comes next
  std::optional<Expected> more_;   // the end of a function; another one, or </tool_call>, may belong to it

  // The current call.
  size_t calls_ = 0;  // begun
  bool in_block_ = false;
  const ToolSchema* schema_ = nullptr;
  ToolCall call_;
  std::map<std::string, size_t, std::less<>> given_;  // parameters by name: their place in the arguments

  // The current value.
  std::string key_;
  size_t value_ = 0;                                    // where it begins
  size_t parameters_ = 0, functions_ = 0, blocks_ = 0;  // open tags within it, as text
  std::optional<Tag> balanced_;                         // the last </parameter> that closed one of these
};

}  // namespace nemotron
