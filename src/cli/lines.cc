// Lines in, lines out.

#include "cli/lines.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace nemotron::cli {

void for_each_line(std::string_view text, const std::function<void(std::string_view line)>& visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.empty()) visit(line);
  }
}

Json error_answer(const char* kind, const std::string& message) {
  return Json().set("error", Json().set("kind", kind).set("message", message));
}

void write_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    throw Error({.what = "standard output cannot be written"});
}

}  // namespace nemotron::cli
