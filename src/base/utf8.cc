// UTF-8: the table of well-formed sequences as code.

#include "base/utf8.h"

#include <cstring>

namespace nemotron {

Utf8 decode_utf8(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {Utf8::kComplete, 1, lead};
  // The second byte has a narrower range after E0 and F0 (no overlong forms), ED (no surrogates) and F4 (no more than
  // 10FFFF).
  unsigned low = 0x80, high = 0xBF, length = 0;
  char32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2, code_point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3, code_point = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, code_point = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {Utf8::kBroken, 1, kReplacement};
  }
  for (uint8_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {Utf8::kCut, i, kReplacement};
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < low || byte > high) return {Utf8::kBroken, i, kReplacement};
    code_point = code_point << 6 | (byte & 0x3Fu);
    low = 0x80, high = 0xBF;
  }
  return {Utf8::kComplete, uint8_t(length), code_point};
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += {char(0xC0 | c >> 6), char(0x80 | (c & 0x3F))};
  } else if (c < 0x10000) {
    out += {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 0x3F)), char(0x80 | (c & 0x3F))};
  } else {
    out += {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 0x3F)), char(0x80 | (c >> 6 & 0x3F)), char(0x80 | (c & 0x3F))};
  }
}

size_t find_invalid_utf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    uint64_t eight;
    if (i + 8 <= text.size() && (std::memcpy(&eight, &text[i], 8), (eight & 0x8080808080808080u) == 0)) {
      i += 8;
      continue;
    }
    const Utf8 next = decode_utf8(text.substr(i));
    if (next.kind != Utf8::kComplete) return i;
    i += next.length;
  }
  return i;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  while (true) {
    const size_t good = find_invalid_utf8(text);
    out.append(text.substr(0, good));
    if (good == text.size()) return out;
    out += kReplacementUtf8;
    text.remove_prefix(good + decode_utf8(text.substr(good)).length);
  }
}

}  // namespace nemotron
