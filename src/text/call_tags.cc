// TagScanner: goes from one '<' to the next, since no tag holds a second one.

#include "text/call_tags.h"

#include <algorithm>

namespace nemotron {
namespace {

// In the order of TagKind. Those that end with '=' go on with a name and '>'.
constexpr std::string_view kSpellings[] = {
    "<tool_call>", "</tool_call>", "<function=", "</function>", "<parameter=", "</parameter>"};

}  // namespace

size_t skip_blanks(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(kBlanks, at), text.size());
}

std::string_view trim_blanks(std::string_view text) {
  text.remove_prefix(skip_blanks(text, 0));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string_view Tag::name(std::string_view text) const {
  if (kind != TagKind::kFunction && kind != TagKind::kParameter) return {};
  const size_t before = kSpellings[size_t(kind)].size();
  return trim_blanks(text.substr(start + before, end - start - before - 1));
}

bool may_close(TagKind kind, Follower follower) {
  if (follower == Follower::kEnd) return true;
  if (follower == Follower::kOther) return false;
  switch (kind) {
    case TagKind::kEndParameter:
      return follower == Follower::kParameter || follower == Follower::kEndFunction || follower == Follower::kEndCall;
    case TagKind::kEndFunction:
      return follower == Follower::kEndCall || follower == Follower::kCall || follower == Follower::kFunction;
    case TagKind::kEndCall:
      return follower == Follower::kCall;
    default:
      return false;
  }
}

std::optional<Tag> TagScanner::next(std::string_view text, bool end) {
  for (;; ++at_) {
    at_ = std::min(text.find('<', at_), text.size());
    const std::string_view rest = text.substr(at_);
    if (rest.empty()) return {};
    size_t kind = 0;
    while (kind < std::size(kSpellings) && !rest.starts_with(kSpellings[kind])) {
      if (!end && kSpellings[kind].starts_with(rest)) return {};
      ++kind;
    }
    if (kind == std::size(kSpellings)) continue;
    size_t stop = at_ + kSpellings[kind].size();
    if (kSpellings[kind].ends_with('=')) {
      named_ = text.find_first_of("<>\n", std::max(named_, stop));
      if (named_ == text.npos) {
        named_ = text.size();
        if (!end) return {};
        continue;
      }
      if (text[named_] != '>') continue;
      stop = named_ + 1;
    }
    const size_t before = at_ == 0 ? text.npos : text.find_last_not_of(" \t", at_ - 1);
    const size_t indented = before == text.npos ? 0 : before + 1;
    const Tag tag{.kind = TagKind(kind),
                  .start = at_,
                  .end = stop,
                  .indented = indented,
                  .after_newline = indented <= begin_ || text[before] == '\n'};
    looked_ = at_ = stop;
    return tag;
  }
}

std::optional<Follower> TagScanner::follower(std::string_view text, bool end) {
  looked_ = skip_blanks(text, looked_);
  const std::string_view rest = text.substr(looked_);
  if (rest.empty()) return end ? std::optional(Follower::kEnd) : std::nullopt;
  for (size_t kind = 0; kind + 1 < std::size(kSpellings); ++kind) {
    if (rest.starts_with(kSpellings[kind])) return Follower(kind);
    if (!end && kSpellings[kind].starts_with(rest)) return {};
  }
  return Follower::kOther;
}

}  // namespace nemotron
