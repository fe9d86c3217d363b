// Base64: four characters at a time.

#include "base/base64.h"

#include <cstdint>

#include "base/error.h"

namespace nemotron {
namespace {

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

[[noreturn]] void fail(size_t at) {
  throw Error({.what = "malformed base64 at character " + std::to_string(at),
               .expected = "groups of four of A-Z a-z 0-9 + /, the last one padded with ="});
}

}  // namespace

std::string decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  if (text.size() % 4 != 0) fail(text.size());
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
    uint32_t bits = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int value = k >= size_t(4 - padding) ? 0 : value_of(text[i + k]);
      if (value < 0) fail(i + k);
      bits = bits << 6 | uint32_t(value);
    }
    const char bytes[] = {char(bits >> 16), char(bits >> 8), char(bits)};
    if ((padding > 0 && bytes[2] != 0) || (padding > 1 && bytes[1] != 0)) fail(i + 3);
    out.append(bytes, size_t(3 - padding));
  }
  return out;
}

}  // namespace nemotron
