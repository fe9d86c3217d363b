// AddedTokenFinder: a tree of prefixes walked from every byte that can start a token.

#include "text/added_tokens.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

size_t pair_of(std::string_view text, size_t at) {
  return size_t(static_cast<unsigned char>(text[at])) << 8 | static_cast<unsigned char>(text[at + 1]);
}

// Where the character before `end` starts; text is UTF-8 and end is not 0.
size_t previous_character(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

}  // namespace

bool AddedTokenFinder::add(std::string_view text, const AddedToken& token) {
  int32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      next = int32_t(nodes_.size());
      nodes_.push_back({.next_sibling = nodes_[size_t(node)].first_child, .byte = byte});
      nodes_[size_t(node)].first_child = next;
    }
    node = next;
  }
  if (nodes_[size_t(node)].token >= 0) return false;
  nodes_[size_t(node)].token = int32_t(tokens_.size());
  tokens_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
  if (text.size() > 1) {
    starts_[pair_of(text, 0)] = true;
  } else {
    const size_t row = size_t(static_cast<unsigned char>(text[0])) << 8;
    for (size_t second = 0; second < 256; ++second) starts_[row | second] = true;
  }
  return true;
}

int32_t AddedTokenFinder::child(int32_t node, unsigned char byte) const {
  int32_t next = nodes_[size_t(node)].first_child;
  while (next >= 0 && nodes_[size_t(next)].byte != byte) next = nodes_[size_t(next)].next_sibling;
  return next;
}

bool AddedTokenFinder::find(std::string_view text, Found& found) const {
  if (tokens_.empty()) return false;
  for (size_t begin = found.from; begin < text.size(); ++begin) {
    if (begin + 1 < text.size() && !starts_[pair_of(text, begin)]) continue;
    found.token = -1;
    int32_t node = 0;
    for (size_t i = begin; i < text.size() && (node = child(node, static_cast<unsigned char>(text[i]))) >= 0; ++i) {
      if (nodes_[size_t(node)].token < 0) continue;
      found.token = nodes_[size_t(node)].token;
      found.end = i + 1;
    }
    if (found.token < 0) continue;
    found.begin = begin;
    return true;
  }
  return false;
}

bool AddedTokenFinder::stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word_character(decode_utf8(text.substr(previous_character(text, begin))).code_point))
    return false;
  return end == text.size() || !is_word_character(decode_utf8(text.substr(end)).code_point);
}

size_t AddedTokenFinder::before_space(std::string_view text, size_t least, size_t end) {
  while (end > least) {
    const size_t previous = previous_character(text, end);
    if (!is_white_space(decode_utf8(text.substr(previous)).code_point)) break;
    end = previous;
  }
  return end;
}

size_t AddedTokenFinder::after_space(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const Utf8 next = decode_utf8(text.substr(begin));
    if (!is_white_space(next.code_point)) break;
    begin += next.length;
  }
  return begin;
}

}  // namespace nemotron
