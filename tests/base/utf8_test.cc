// UTF-8 and base64: every sequence decided by the Unicode table, every stray bit refused.

#include "base/utf8.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/error.h"

namespace nemotron {
namespace {

TEST(Utf8, every_character_survives) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8 back = decode_utf8(text);
    ASSERT_TRUE(back.kind == Utf8::kComplete && back.code_point == c && back.length == text.size()) << uint32_t(c);
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const Utf8 part = decode_utf8(std::string_view(text).substr(0, cut));
      ASSERT_TRUE(part.kind == Utf8::kCut && part.length == cut) << uint32_t(c);
    }
  }
}

TEST(Utf8, one_replacement_stands_for_each_maximal_broken_part) {
  const std::pair<std::string, std::string> cases[] = {{"\xC0\x80", "��"},
                                                       {"\xED\xA0\x80", "���"},
                                                       {"\xF0\x9F\x91", "�"},
                                                       {"\xF0\x9F\x91"
                                                        "A",
                                                        "�A"},
                                                       {"\xF4\x90\x80\x80", "����"},
                                                       {"\xE2\x82\xE2\x82\xAC", "�€"},
                                                       {"ok \xFF\xFE ok", "ok �� ok"},
                                                       {"\xE0\x80\xAF", "���"}};
  for (const auto& [broken, expected] : cases) EXPECT_EQ(replace_invalid_utf8(broken), expected);
  EXPECT_EQ(find_invalid_utf8("0123456789é\x80"), 12u);
  EXPECT_EQ(find_invalid_utf8(""), 0u);
}

TEST(Base64, decodes_and_refuses) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("/w=="), "\xFF");
  EXPECT_EQ(decode_base64("YYBi"),
            "a\x80"
            "b");
  EXPECT_EQ(decode_base64("Zm9vYmE="), "fooba");
  for (const char* bad :
       {"A", "AAA", "A===", "A=AA", "AA=A", "AAAA=", "AA\nA", "AB==", "AAB=", "====", "AA==AAAA", "AA-_"}) {
    EXPECT_THROW(decode_base64(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace nemotron
