// Requests of one line each, answered with one line each.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace nemotron::cli {

// Calls visit(line) for each line that is not empty. Lines end at the byte 0x0A and nowhere else: texts hold NUL and
// other line separators.
void for_each_line(std::string_view text, const std::function<void(std::string_view line)>& visit);

// {"error": {"kind", "message"}}: what is wrong with a request is its answer, and the others are not hurt.
Json error_answer(const char* kind, const std::string& message);

// To standard output. Throws Error if it cannot be written.
void write_out(const std::string& text);

}  // namespace nemotron::cli
