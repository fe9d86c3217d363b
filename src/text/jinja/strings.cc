// Stripping, replacing and splitting text, each in linear time.

#include "text/jinja/strings.h"

#include <algorithm>
#include <unordered_set>

#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {

std::string_view stripped(Heap& heap, std::string_view text, const std::string* chars, bool left, bool right) {
  std::unordered_set<char32_t> set;
  if (chars) {
    heap.scans(chars->size());
    for (size_t at = 0; at < chars->size();) set.insert(next_code_point(*chars, at));
  }
  const auto goes = [&](char32_t c) { return chars ? set.count(c) > 0 : is_space(c); };
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!goes(next_code_point(text, next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t previous = end;
    if (!goes(previous_code_point(text, previous))) break;
    end = previous;
  }
  heap.scans(begin + text.size() - end);
  return text.substr(begin, end - begin);
}

std::string replaced(Heap& heap, std::string_view text, std::string_view from, std::string_view to, int64_t count) {
  heap.copies(text.size());
  uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  std::string out;
  const auto put = [&](std::string_view piece) {
    heap.allow(out.size() + piece.size());
    heap.work(piece.size() / 64);
    out += piece;
  };
  if (from.empty()) {
    size_t at = 0;
    for (; left > 0; --left) {
      heap.work(1);
      put(to);
      if (at >= text.size()) return out;
      const size_t begin = at;
      next_code_point(text, at);
      out += text.substr(begin, at - begin);
    }
    out += text.substr(at);
    return out;
  }
  size_t at = 0;
  for (; left > 0; --left) {
    const size_t found = find_text(text, from, at);
    if (found == std::string::npos) break;
    heap.work(1);
    put(text.substr(at, found - at));
    put(to);
    at = found + from.size();
  }
  put(text.substr(at));
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> out;
  for (size_t begin = 0, at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t c = next_code_point(text, at);
    if (!is_line_break(c)) {
      if (at >= text.size()) out.push_back(text.substr(begin));
      continue;
    }
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    out.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  return out;
}

std::vector<std::string_view> split_spaces(std::string_view text, int64_t count, bool from_right) {
  std::vector<std::string_view> out;
  uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  if (!from_right) {
    size_t at = 0;
    const auto skip = [&](bool spaces) {
      while (at < text.size()) {
        size_t next = at;
        if (is_space(next_code_point(text, next)) != spaces) break;
        at = next;
      }
    };
    for (skip(true); at < text.size(); skip(true)) {
      const size_t begin = at;
      if (left-- == 0) {
        size_t end = text.size();
        for (size_t previous = end; end > begin && is_space(previous_code_point(text, previous)); end = previous) {
        }
        out.push_back(text.substr(begin, end - begin));
        break;
      }
      skip(false);
      out.push_back(text.substr(begin, at - begin));
    }
    return out;
  }
  size_t at = text.size();
  const auto skip = [&](bool spaces) {
    while (at > 0) {
      size_t previous = at;
      if (is_space(previous_code_point(text, previous)) != spaces) break;
      at = previous;
    }
  };
  for (skip(true); at > 0; skip(true)) {
    const size_t end = at;
    if (left-- == 0) {
      size_t begin = 0;
      for (size_t next = begin; begin < end && is_space(next_code_point(text, next)); begin = next) {
      }
      out.push_back(text.substr(begin, end - begin));
      break;
    }
    skip(false);
    out.push_back(text.substr(at, end - at));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

namespace {

// Occurrences from the right, by searching the mirrored text.
class MirroredSearch {
 public:
  MirroredSearch(std::string_view text, std::string_view needle)
      : text_(text.rbegin(), text.rend()), needle_(needle.rbegin(), needle.rend()) {}
  // The last occurrence that ends at or before `end`.
  size_t before(size_t end) const {
    const size_t found = find_text(text_, needle_, text_.size() - end);
    return found == std::string::npos ? found : text_.size() - found - needle_.size();
  }

 private:
  std::string text_, needle_;
};

}  // namespace

size_t find_last_text(std::string_view text, std::string_view needle) {
  return MirroredSearch(text, needle).before(text.size());
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t count,
                                       bool from_right) {
  std::vector<std::string_view> out;
  uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  if (!from_right) {
    size_t at = 0;
    for (; left > 0; --left) {
      const size_t found = find_text(text, separator, at);
      if (found == std::string::npos) break;
      out.push_back(text.substr(at, found - at));
      at = found + separator.size();
    }
    out.push_back(text.substr(at));
    return out;
  }
  const MirroredSearch search(text, separator);
  size_t end = text.size();
  for (; left > 0; --left) {
    const size_t found = search.before(end);
    if (found == std::string::npos) break;
    out.push_back(text.substr(found + separator.size(), end - found - separator.size()));
    end = found;
  }
  out.push_back(text.substr(0, end));
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace nemotron::jinja
