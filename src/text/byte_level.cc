// Stand-ins: two small tables, filled once.

#include "text/byte_level.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace nemotron {
namespace {

struct Tables {
  std::array<char32_t, 256> stand_in{};
  std::array<int16_t, 0x180> byte;  // by stand-in; -1: none

  Tables() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      stand_in[b] = prints ? b : next++;
      byte[stand_in[b]] = int16_t(b);
    }
  }
};

const Tables& tables() {
  static const Tables all;
  return all;
}

}  // namespace

char32_t stand_in(unsigned char byte) { return tables().stand_in[byte]; }

std::string stand_ins_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) append_utf8(out, stand_in(static_cast<unsigned char>(c)));
  return out;
}

bool append_bytes_of(std::string_view text, std::string& out) {
  const Tables& t = tables();
  const size_t before = out.size();
  for (size_t i = 0; i < text.size();) {
    const Utf8 next = decode_utf8(text.substr(i));
    i += next.length;
    if (next.code_point >= t.byte.size() || t.byte[next.code_point] < 0) {
      out.resize(before);
      return false;
    }
    out += char(t.byte[next.code_point]);
  }
  return true;
}

}  // namespace nemotron
