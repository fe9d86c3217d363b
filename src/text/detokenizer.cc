// Detokenizer: at most three bytes wait.

#include "text/detokenizer.h"

#include "base/utf8.h"
#include "text/tokenizer.h"

namespace nemotron {

std::string Detokenizer::put(int32_t id) {
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  rest_ += tokenizer_->bytes(id);
  std::string out;
  std::string_view left = rest_;
  while (!left.empty()) {
    const Utf8 next = decode_utf8(left);
    if (next.kind == Utf8::kCut) break;
    if (next.kind == Utf8::kBroken)
      out += kReplacementUtf8;
    else
      out += left.substr(0, next.length);
    left.remove_prefix(next.length);
  }
  rest_.erase(0, rest_.size() - left.size());
  return out;
}

std::string Detokenizer::finish() {
  const bool unfinished = !rest_.empty();
  rest_.clear();
  return unfinished ? std::string(kReplacementUtf8) : std::string();
}

}  // namespace nemotron
