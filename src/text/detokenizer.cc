// Detokenizer: at most three bytes wait.

#include "text/detokenizer.h"

#include "base/utf8.h"
#include "text/tokenizer.h"

namespace nemotron {
namespace {

// ED A0 … ED BF start an encoded surrogate, which is broken whatever follows. The reference decoder still waits for the
// third byte, and its pieces are the standard here.
bool starts_surrogate(std::string_view text) {
  return text.size() == 2 && text[0] == '\xED' && (text[1] & 0xE0) == 0xA0;
}

}  // namespace

std::string Detokenizer::put(int32_t id) {
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  rest_ += tokenizer_->bytes(id);
  std::string out;
  std::string_view left = rest_;
  while (!left.empty()) {
    const Utf8 next = decode_utf8(left);
    if (next.kind == Utf8::kCut || starts_surrogate(left)) break;
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
  std::string out = replace_invalid_utf8(rest_);
  rest_.clear();
  return out;
}

}  // namespace nemotron
