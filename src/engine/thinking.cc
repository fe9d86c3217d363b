// ThinkingBudget: finds the tags in the text as it comes, and counts tokens between them.

#include "engine/thinking.h"

#include "text/call_tags.h"
#include "text/tokenizer.h"

namespace nemotron {
ThinkingBudget::ThinkingBudget(const Tokenizer& tokenizer, index budget, bool open)
    : tokenizer_(&tokenizer), budget_(budget), where_(open ? Where::inside : Where::before) {}

std::vector<int32_t> ThinkingBudget::ending() {
  if (where_ != Where::inside || tokens_ < budget_) return {};
  if (!newline_ && !overdue_ && tokens_ < budget_ + kThinkingGrace) return {};
  where_ = Where::after;
  return tokenizer_->encode((newline_ ? "" : "\n") + std::string(kThinkEnd));
}

void ThinkingBudget::put(std::string_view text) {
  if (where_ == Where::after) return;
  seen_ += text;
  if (where_ == Where::before) {
    const size_t start = skip_blanks(seen_, 0);
    if (start == seen_.size()) return seen_.clear();
    const std::string_view head = std::string_view(seen_).substr(start, kThinkStart.size());
    if (!kThinkStart.starts_with(head)) {
      where_ = Where::after;  // an answer without a thought
    } else if (head == kThinkStart) {
      where_ = Where::inside;
      seen_.erase(0, start + kThinkStart.size());
      newline_ = seen_.empty() || seen_.back() == '\n';
    }
    return;
  }
  ++tokens_;
  if (seen_.find(kThinkEnd) != seen_.npos) {
    where_ = Where::after;
    return;
  }
  if (!text.empty()) newline_ = text.back() == '\n';
  if (tokens_ > budget_ && text.find('\n') != text.npos) overdue_ = true;
  if (seen_.size() >= kThinkEnd.size()) seen_.erase(0, seen_.size() - (kThinkEnd.size() - 1));
}

}  // namespace nemotron
