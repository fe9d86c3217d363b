// Error: how its fields become one printable line.

#include "base/error.h"

#include <utility>

namespace nemotron {
namespace {

// Length of the well-formed UTF-8 sequence at text[i], or 0.
size_t utf8_length(const std::string& text, size_t i) {
  const auto byte = [&](size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
  const unsigned lead = byte(i);
  const auto tail = [&](size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF && tail(i + 1)) return 2;
  if ((lead & 0xF0) == 0xE0 && tail(i + 1) && tail(i + 2)) return 3;
  if (lead >= 0xF0 && lead <= 0xF4 && tail(i + 1) && tail(i + 2) && tail(i + 3)) return 4;
  return 0;
}

}  // namespace

std::string printable(const std::string& text, size_t limit) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "…";
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text, i);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      ++i;
    } else {
      out.append(text, i, length);
      i += length;
    }
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
