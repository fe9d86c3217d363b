// Splits what a model writes into its reasoning and its answer, at the tag that ends the thought.

#pragma once

#include <string>
#include <string_view>

namespace nemotron {

// Streaming: the parts may be cut anywhere; joined, they are the same. The template writes "\n</think>\n" around the
// tag, so one newline on each side of it belongs to the tag (spec/model.md 9.2).
class ReasoningSplitter {
 public:
  struct Parts {
    std::string reasoning, answer;
  };

  // `thinking`: the prompt ended inside the thought, so the output starts there.
  explicit ReasoningSplitter(bool thinking) : thinking_(thinking) {}

  // What has become certain. Text that may be the start of the tag, or a newline that may belong to it, is held back.
  Parts put(std::string_view text);
  Parts finish();

  bool thinking() const { return thinking_; }  // the tag has not come yet

  // Whether a prompt ends inside a thought: "<think>" comes last, but for blanks.
  static bool opens(std::string_view prompt);

 private:
  bool thinking_;
  bool after_tag_ = false;  // a newline that comes next belongs to the tag
  std::string held_;
};

}  // namespace nemotron
