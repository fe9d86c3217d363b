// ReasoningSplitter: holds back the longest end that the tag, with its newline, could start with.

#include "text/reasoning.h"

#include <algorithm>
#include <utility>

namespace nemotron {
namespace {

constexpr std::string_view kEnd = "\n</think>", kOpen = "<think>";

// The length of the longest end of `text` that `tag` starts with.
size_t overlap(std::string_view text, std::string_view tag) {
  for (size_t n = std::min(text.size(), tag.size() - 1); n > 0; --n)
    if (text.ends_with(tag.substr(0, n))) return n;
  return 0;
}

}  // namespace

ReasoningSplitter::Parts ReasoningSplitter::put(std::string_view text) {
  Parts parts;
  held_ += text;
  if (thinking_) {
    const std::string_view tag = kEnd.substr(1);
    const size_t at = held_.find(tag);
    if (at == std::string::npos) {
      const size_t keep = std::max(overlap(held_, kEnd), overlap(held_, tag));
      parts.reasoning = held_.substr(0, held_.size() - keep);
      held_.erase(0, parts.reasoning.size());
      return parts;
    }
    parts.reasoning = held_.substr(0, at > 0 && held_[at - 1] == '\n' ? at - 1 : at);
    held_.erase(0, at + tag.size());
    thinking_ = false;
    after_tag_ = true;
  }
  if (after_tag_ && !held_.empty()) {
    after_tag_ = false;
    if (held_[0] == '\n') held_.erase(0, 1);
  }
  parts.answer = std::exchange(held_, {});
  return parts;
}

ReasoningSplitter::Parts ReasoningSplitter::finish() {
  Parts parts;
  (thinking_ ? parts.reasoning : parts.answer) = std::exchange(held_, {});
  return parts;
}

bool ReasoningSplitter::opens(std::string_view prompt) {
  const size_t end = prompt.find_last_not_of(" \t\r\n");
  return end != prompt.npos && prompt.substr(0, end + 1).ends_with(kOpen);
}

}  // namespace nemotron
