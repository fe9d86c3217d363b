// AddedTokenFinder: the automaton made, and walked over a text from its end.

#include "text/added_tokens.h"

#include <algorithm>

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
  const auto index = int32_t(tokens_.size());
  if (!reversed_.try_emplace(std::string(text.rbegin(), text.rend()), index).second) return false;
  tokens_.push_back({token.id, token.single_word, token.lstrip, token.rstrip, text.size()});
  if (text.size() > 1) {
    ends_[pair_of(text, text.size() - 2)] = true;
  } else {
    for (size_t first = 0; first < 256; ++first) ends_[first << 8 | static_cast<unsigned char>(text[0])] = true;
  }
  return true;
}

// Level by level: the tokens of a node are neighbours in reversed_.
void AddedTokenFinder::finish() {
  struct Span {
    decltype(reversed_)::const_iterator begin, end;  // the tokens that end as this node does
    size_t depth;
  };
  std::vector<Span> spans = {{reversed_.begin(), reversed_.end(), 0}};  // by node
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [at, end, depth] = spans[node];
    if (at != end && at->first.size() == depth) nodes_[node].token = at++->second;
    nodes_[node].first_child = int32_t(nodes_.size());
    while (at != end) {
      const char byte = at->first[depth];
      const auto from = at;
      while (at != end && at->first[depth] == byte) ++at;
      spans.push_back({from, at, depth + 1});
      nodes_.push_back({.byte = static_cast<unsigned char>(byte)});
      ++nodes_[node].children;
    }
    spans[node] = {reversed_.end(), reversed_.end(), 0};
  }
  for (size_t node = 0; node < nodes_.size(); ++node) {
    for (int32_t i = 0; i < nodes_[node].children; ++i) {
      Node& next = nodes_[size_t(nodes_[node].first_child + i)];
      if (node > 0) next.shorter = step(nodes_[node].shorter, next.byte);
      if (next.token < 0) next.token = nodes_[size_t(next.shorter)].token;
    }
  }
  reversed_.clear();
}

int32_t AddedTokenFinder::child(int32_t node, unsigned char byte) const {
  const Node& parent = nodes_[size_t(node)];
  const auto begin = nodes_.begin() + parent.first_child, end = begin + parent.children;
  const auto found = std::lower_bound(begin, end, byte, [](const Node& n, unsigned char b) { return n.byte < b; });
  return found != end && found->byte == byte ? int32_t(found - nodes_.begin()) : 0;
}

int32_t AddedTokenFinder::step(int32_t node, unsigned char byte) const {
  while (true) {
    if (const int32_t next = child(node, byte)) return next;
    if (node == 0) return 0;
    node = nodes_[size_t(node)].shorter;
  }
}

std::vector<AddedTokenFinder::Found> AddedTokenFinder::find(std::string_view text) const {
  std::vector<Found> out;
  if (tokens_.empty()) return out;
  int32_t node = 0;
  for (size_t at = text.size(); at-- > 0;) {
    if (node == 0 && at > 0 && !ends_[pair_of(text, at - 1)]) continue;
    node = step(node, static_cast<unsigned char>(text[at]));
    if (nodes_[size_t(node)].token >= 0) out.push_back({at, nodes_[size_t(node)].token});
  }
  return out;
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
