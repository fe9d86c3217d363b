// Error: what a hostile name can and cannot do to the one line of a message.

#include "base/error.h"

#include <gtest/gtest.h>

namespace nemotron {
namespace {

TEST(error, is_one_line_with_every_field_in_its_place) {
  const Error error({.what = "shape differs",
                     .where = "model.safetensors: tensor 'a'",
                     .expected = "[2, 3]",
                     .found = "[3, 2]",
                     .hint = "download it again"});
  EXPECT_STREQ(error.what(),
               "model.safetensors: tensor 'a': shape differs: expected [2, 3], found [3, 2] (download it again)");
  EXPECT_EQ(error.fields().expected, "[2, 3]");
}

TEST(error, leaves_out_empty_fields) {
  EXPECT_STREQ(Error({.what = "no such file"}).what(), "no such file");
  EXPECT_STREQ(Error({.what = "odd", .found = "7"}).what(), "odd: found 7");
  EXPECT_STREQ(Error({.what = "odd", .expected = "an even one"}).what(), "odd: expected an even one");
  EXPECT_STREQ(Error({.what = "odd", .where = "here", .hint = "go"}).what(), "here: odd (go)");
}

TEST(error, cannot_be_forged_into_two_lines) {
  const std::string line = Error({.what = "bad name", .found = "a\nb\r\x1b[31m\x7f"}).what();
  EXPECT_EQ(line, "bad name: found a\\x0ab\\x0d\\x1b[31m\\x7f");
}

TEST(error, is_short_whatever_it_names) {
  const std::string line = Error({.what = "bad name", .where = std::string(1 << 20, 'x')}).what();
  EXPECT_LT(line.size(), 700u);
}

TEST(printable, keeps_valid_utf8_and_shows_the_rest_as_bytes) {
  EXPECT_EQ(printable("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
  EXPECT_EQ(printable("\xFF\xC3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xE0\x80\xAF"), "\\xe0\\x80\\xaf");           // overlong
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(printable(std::string("\0", 1)), "\\x00");
}

TEST(printable, escapes_the_control_characters_of_unicode) {
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b"
            "31m");                                         // U+009B, an escape sequence's start on some terminals
  EXPECT_EQ(printable("\xE2\x80\xA8"), "\\xe2\\x80\\xa8");  // U+2028, a line separator
  EXPECT_EQ(printable("\xE2\x80\xAE"), "\\xe2\\x80\\xae");  // U+202E, writes the rest of the line backwards
}

TEST(printable, cuts_between_characters) {
  EXPECT_EQ(printable("aaaa", 4), "aaaa");
  EXPECT_EQ(printable("aaaaa", 4), "aaaa…");
  EXPECT_EQ(printable("ééé", 3), "éé…");
}

}  // namespace
}  // namespace nemotron
