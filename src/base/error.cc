// Error: how its fields become one printable line.

#include "base/error.h"

#include <string_view>
#include <utility>

#include "base/utf8.h"

namespace nemotron {
namespace {

// Characters that move the cursor, colour the terminal, break the line, or write it backwards.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::string printable(const std::string& text, size_t limit) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    if (out.size() >= limit) return out + "…";
    const Utf8 next = decode_utf8(rest);
    const std::string_view bytes = rest.substr(0, next.length);
    if (next.kind == Utf8::kComplete && !is_control(next.code_point)) {
      out += bytes;
    } else {
      for (const char c : bytes) out += {'\\', 'x', digits[uint8_t(c) >> 4], digits[uint8_t(c) & 15]};
    }
    rest.remove_prefix(bytes.size());
  }
  return out;
}

Error::Error(ErrorFields fields) : fields_(std::move(fields)) {
  const auto clean = [](const std::string& text) { return printable(text, 600); };
  if (!fields_.where.empty()) line_ += clean(fields_.where) + ": ";
  line_ += clean(fields_.what);
  if (!fields_.expected.empty()) line_ += ": expected " + clean(fields_.expected);
  if (!fields_.found.empty()) line_ += (fields_.expected.empty() ? ": found " : ", found ") + clean(fields_.found);
  if (!fields_.hint.empty()) line_ += " (" + clean(fields_.hint) + ")";
}

}  // namespace nemotron
