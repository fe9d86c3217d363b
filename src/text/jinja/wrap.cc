// Text wrapping: chunks of blanks and words, filled greedily into lines.

#include "text/jinja/wrap.h"

#include <algorithm>

#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r'; }

// Where a word may be broken: behind a hyphen between letters.
void split_word(std::string_view word, bool on_hyphens, std::vector<std::string_view>& out) {
  size_t begin = 0;
  for (size_t i = 1; on_hyphens && i + 2 < word.size(); ++i) {
    if (word[i] != '-') continue;
    size_t before = i, after = i + 1;
    const char32_t left = previous_code_point(word, before);
    const bool two_left = before > begin && before > 0;
    char32_t second_left = 0;
    if (two_left) second_left = previous_code_point(word, before);
    const char32_t right = next_code_point(word, after);
    const char32_t second_right = after < word.size() ? next_code_point(word, after) : 0;
    if (!is_alpha(left) || !two_left || !(is_alpha(second_left) || second_left == '-')) continue;
    if (!is_alpha(right) || !(is_alpha(second_right) || second_right == '-')) continue;
    out.push_back(word.substr(begin, i + 1 - begin));
    begin = i + 1;
  }
  out.push_back(word.substr(begin));
}

std::vector<std::string_view> chunks(std::string_view text, bool on_hyphens) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const bool blank = is_blank(text[at]);
    while (at < text.size() && is_blank(text[at]) == blank) ++at;
    if (blank)
      out.push_back(text.substr(begin, at - begin));
    else
      split_word(text.substr(begin, at - begin), on_hyphens, out);
  }
  return out;
}

}  // namespace

std::vector<std::string> wrapped(std::string_view text, size_t width, bool break_long_words, bool break_on_hyphens) {
  std::vector<std::string_view> rest = chunks(text, break_on_hyphens);
  std::reverse(rest.begin(), rest.end());
  std::vector<std::string> lines;
  while (!rest.empty()) {
    std::vector<std::string_view> line;
    size_t length = 0;
    if (!lines.empty() && is_blank(rest.back()[0])) rest.pop_back();
    while (!rest.empty()) {
      const size_t size = code_point_count(rest.back());
      if (length + size > width) break;
      line.push_back(rest.back());
      length += size;
      rest.pop_back();
    }
    if (!rest.empty() && code_point_count(rest.back()) > width) {
      const size_t left = width - length;
      if (break_long_words) {
        const size_t cut = skip_code_points(rest.back(), 0, std::max<size_t>(left, width == 0 ? 1 : left));
        line.push_back(rest.back().substr(0, cut));
        rest.back().remove_prefix(cut);
      } else if (line.empty()) {
        line.push_back(rest.back());
        rest.pop_back();
      }
    }
    if (!line.empty() && is_blank(line.back().empty() ? 'x' : line.back()[0])) line.pop_back();
    if (line.empty()) continue;
    std::string joined;
    for (const std::string_view part : line) joined += part;
    lines.push_back(std::move(joined));
  }
  return lines;
}

Value sorted_copy(Interpreter& in, const Value& value, int depth) {
  if (depth > 200) fail_value("maximum recursion depth exceeded");
  in.heap().work(1);
  if (value.is(Kind::list) || value.is(Kind::tuple)) {
    std::vector<Value> items;
    for (const Value& item : value.as<Sequence>().items) items.push_back(sorted_copy(in, item, depth + 1));
    return value.is(Kind::list) ? make_list(in.heap(), std::move(items)) : make_tuple(in.heap(), std::move(items));
  }
  if (!value.is(Kind::dict)) return value;
  std::vector<Value> keys;
  for (const auto& item : value.as<Dict>().items) keys.push_back(item.first);
  const Value out = make_dict(in.heap());
  for (const size_t i : sorted_order(in.heap(), keys, false)) {
    const auto& [key, item] = value.as<Dict>().items[i];
    out.as<Dict>().set(key, sorted_copy(in, item, depth + 1));
  }
  return out;
}

}  // namespace nemotron::jinja
