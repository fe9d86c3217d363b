// The tags of tool calls, found in a text that is still growing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nemotron {

enum class TagKind : uint8_t { kCall, kEndCall, kFunction, kEndFunction, kParameter, kEndParameter };

// Blanks here are the four of JSON, and no others.
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kThinkStart = "<think>", kThinkEnd = "</think>";
size_t skip_blanks(std::string_view text, size_t at);
std::string_view trim_blanks(std::string_view text);

struct Tag {
  TagKind kind;
  size_t start, end;   // in the text
  size_t indented;     // where the spaces and tabs before the tag begin
  bool after_newline;  // or at the beginning of the text
  std::string_view spelling(std::string_view text) const { return text.substr(start, end - start); }

  // NAME in <function=NAME> or <parameter=NAME>; empty where it is blank.
  std::string_view name(std::string_view text) const;
  // Whether the tag starts a line of the part of the text that begins at `begin`.
  bool starts_line(size_t begin) const { return after_newline || indented <= begin; }
};

// What stands behind a tag, blanks skipped: the start of a tag (an end of a parameter is none of these), the end, or
// anything else.
enum class Follower : uint8_t { kCall, kEndCall, kFunction, kEndFunction, kParameter, kEnd, kOther };

// Whether a closing tag, so followed, may close a call's innermost part where tags in values are balanced.
bool may_close(TagKind kind, Follower follower);

// The same tags come out however the text grows. Linear in the text.
class TagScanner {
 public:
  explicit TagScanner(size_t begin) : begin_(begin), at_(begin) {}

  // The next tag. `text` starts with all the texts of earlier calls; `end`: nothing is added any more. Nothing: there
  // is no further tag yet.
  std::optional<Tag> next(std::string_view text, bool end);
  // What follows the last tag; nothing: the text does not tell yet.
  std::optional<Follower> follower(std::string_view text, bool end);
  // No tag starts before this but those that have come out.
  size_t decided() const { return at_; }

 private:
  size_t begin_, at_;
  size_t named_ = 0;   // the name that begins at at_ goes on at least to here
  size_t looked_ = 0;  // behind the last tag there are blanks to here
};

}  // namespace nemotron
