// Json: what is read, what is refused, and that it is written as Python writes it.

#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data.h"

namespace nemotron {
namespace {

Json parse(std::string_view text) { return parse_json(text, "test.json"); }

// The message of the error that parsing `text` gives; empty where it parses.
std::string refusal(std::string_view text, size_t max_depth = 256) {
  try {
    parse_json(text, "test.json", max_depth);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(python_float, prints_as_python_does) {
  const Json data = test_data("python_float.json"), &rows = member(data, "rows");
  ASSERT_GT(rows.array().size(), 200u);
  for (const Json& row : rows.array()) {
    const uint64_t bits = std::stoull(row.array().at(0).string(), nullptr, 16);
    EXPECT_EQ(python_float(std::bit_cast<double>(bits)), row.array().at(1).string());
  }
}

TEST(json, reads_every_kind) {
  const Json json = parse(R"({"n": null, "t": true, "i": -3, "d": 2.5, "s": "x", "a": [1, 2], "o": {"k": false}})");
  EXPECT_TRUE(json.find("n")->is_null());
  EXPECT_TRUE(json.find("t")->boolean());
  EXPECT_EQ(json.find("i")->integer(), -3);
  EXPECT_EQ(json.find("d")->number(), 2.5);
  EXPECT_EQ(json.find("s")->string(), "x");
  EXPECT_EQ(json.find("a")->array().size(), 2u);
  EXPECT_FALSE(json.find("o")->find("k")->boolean());
  EXPECT_EQ(json.find("missing"), nullptr);
  EXPECT_EQ(json.find("a")->find("k"), nullptr);
}

TEST(json, keeps_the_order_of_keys) {
  const Json json = parse(R"({"z": 1, "a": 2, "m": 3})");
  EXPECT_EQ(json.dump(), R"({"z": 1, "a": 2, "m": 3})");
}

TEST(json, lets_the_last_of_equal_keys_win_as_python_does) {
  EXPECT_EQ(parse(R"({"a": 1, "b": 2, "a": 3})").dump(), R"({"a": 3, "b": 2})");
}

TEST(json, reads_a_hundred_thousand_keys_in_linear_time) {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += (i ? ",\"key" : "\"key") + std::to_string(i) + "\":" + std::to_string(i);
  EXPECT_EQ(parse(text + "}").object().size(), 100000u);
}

TEST(json, reads_the_constants_that_python_writes) {
  const Json json = parse(R"({"a": NaN, "b": Infinity, "c": -Infinity, "d": "NaN and Infinity \" NaN"})");
  EXPECT_TRUE(std::isnan(json.find("a")->number()));
  EXPECT_EQ(json.find("b")->number(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(json.find("c")->number(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(json.find("d")->string(), "NaN and Infinity \" NaN");
  EXPECT_EQ(parse(json.dump()).find("c")->number(), -std::numeric_limits<double>::infinity());
}

TEST(json, does_not_take_a_string_for_a_constant) {
  // No text that is a string in the file may come back as a number, whatever the rest of the file holds.
  for (const char* text :
       {R"(["\u007fNaN", NaN])", R"(["\u007fInfinity"])", R"(["\u007f-Infinity", Infinity])", "[\"\x7fNaN\", NaN]"})
    EXPECT_TRUE(parse(text).array().at(0).is_string()) << text;
  EXPECT_EQ(parse("[\"\x7fNaN\", NaN]").array().at(0).string(), "\x7fNaN");
  EXPECT_EQ(parse("[\"\\u007f\\u007FNaN\", NaN]").array().at(0).string(), "\x7f\x7fNaN");
  EXPECT_EQ(parse("{\"\x7f\": NaN}").object().at(0).first, "\x7f");
}

TEST(json, refuses_constants_where_no_value_may_stand) {
  for (const char* text :
       {"{NaN: 1}", "[1 NaN]", "NaNNaN", "[NaN5]", "[-NaN]", "[Infinit]", "[+Infinity]", "{\"a\" Infinity}"})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(json, keeps_integers_of_64_bits_exact) {
  EXPECT_EQ(parse("9223372036854775807").integer(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parse("-9223372036854775808").integer(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(parse("18446744073709551615").unsigned_integer(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(parse("18446744073709551615").dump(), "18446744073709551615");
  EXPECT_THROW(parse("18446744073709551615").integer(), Error);
  EXPECT_THROW(parse("-1").unsigned_integer(), Error);
  EXPECT_THROW(parse("1.0").integer(), Error);
  EXPECT_EQ(parse("9007199254740993").integer(), 9007199254740993);
}

TEST(json, writes_numbers_that_it_cannot_hold_as_they_were_spelled) {
  const Json big = Json::Spelled{"-123456789012345678901234567890"};
  EXPECT_EQ(Json(Json::Array{big, Json(Json::Spelled{"1e400"})}).dump(), "[-123456789012345678901234567890, 1e400]");
  EXPECT_TRUE(big.is_number() && !big.is_double() && !big.is_int());
  EXPECT_STREQ(big.kind(), "number");
  EXPECT_EQ(big.number(), -123456789012345678901234567890.0);
  EXPECT_EQ(Json(Json::Spelled{"1e400"}).number(), std::numeric_limits<double>::infinity());
  EXPECT_THROW(big.integer(), Error);
}

TEST(json, does_not_wrap_integers_beyond_64_bits) {
  for (const char* text : {"18446744073709551616", "-9223372036854775809",
                           "1"
                           "0000000000"
                           "0000000000"
                           "0000000000"}) {
    try {
      const Json json = parse(text);  // a double, as most readers have it, or a refusal
      EXPECT_TRUE(json.is_double()) << text;
      EXPECT_EQ(json.number(), std::stod(text));
    } catch (const Error&) {
    }
  }
}

TEST(json, refuses_numbers_out_of_range_or_out_of_form) {
  for (const char* text : {"1e999", "-1e999", "01", "1.", ".5", "+1", "0x10", "1e", "--1", "1_000"})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(json, refuses_nesting_beyond_the_limit_whatever_it_is_made_of) {
  for (const size_t depth : {size_t{1000}, size_t{100000}, size_t{10000000}}) {
    EXPECT_NE(refusal(std::string(depth, '[')), "") << depth;
    const std::string closed = std::string(depth, '[') + std::string(depth, ']');
    EXPECT_NE(refusal(closed).find("nested deeper than 256"), std::string::npos) << depth;
  }
  std::string objects, end;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":", end += '}';
  EXPECT_NE(refusal(objects), "");
  objects += "1" + end;
  EXPECT_NE(refusal(objects).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal(std::string(100000, '[') + "NaN" + std::string(100000, ']')).find("nested deeper"),
            std::string::npos);
}

TEST(json, takes_nesting_up_to_the_limit) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(refusal(nested(200)), "");
  EXPECT_EQ(refusal(nested(15), 16), "");
  EXPECT_NE(refusal(nested(18), 16), "");
}

TEST(json, refuses_invalid_utf8) {
  for (const char* text :
       {"\"\xFF\"", "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE4\xB8\"", "{\"\x80\": 1}"})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(json, refuses_malformed_texts_naming_the_file) {
  for (const char* text :
       {"",       " ",       "{",   "[1,]", "{\"a\":}", "{\"a\" 1}", "{a: 1}", "[1 2]",      "tru", "\"",
        "\"\n\"", "\"\\x\"", "1 2", "{} x", "[1]]",     "//",        "'a'",    "{\"a\":1,}", "nul", "\"\\u12\""}) {
    EXPECT_EQ(refusal(text).rfind("test.json: ", 0), 0u) << text;
  }
  EXPECT_NE(refusal(std::string_view("[1]\0", 4)), "");
}

TEST(json, joins_surrogate_pairs) {
  EXPECT_EQ(parse(R"("\ud83d\ude42")").string(), "🙂");
  EXPECT_EQ(parse(R"("a\u0000b")").string(), std::string("a\0b", 3));
}

TEST(json, writes_as_python_does) {
  EXPECT_EQ(parse(R"([1, -0, 1.0, 1e-7, 1e16, "ü\n\u0001\u007f\"\\\/", {}, [], null, true])").dump(),
            "[1, 0, 1.0, 1e-07, 1e+16, \"ü\\n\\u0001\x7f\\\"\\\\/\", {}, [], null, true]");
}

TEST(json, quotes_bytes_that_are_no_utf8_as_replacement_characters) {
  EXPECT_EQ(json_quote("a\xFF"
                       "b"),
            "\"a\uFFFDb\"");
  EXPECT_EQ(json_quote("\xE4\xB8"), "\"\uFFFD\"");                  // one for a character cut short
  EXPECT_EQ(json_quote("\xED\xA0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");  // as Python's decoder: one a byte of a surrogate
  EXPECT_EQ(json_quote("\xF0\x9F\x99\x82"), "\"🙂\"");
}

TEST(json, what_is_written_reads_back_equal) {
  const char* text = R"({"a": [0.1, 1e300, -5, 18446744073709551615, "\u0000\u001f🙂", null], "b": {"c": {}}})";
  const Json json = parse(text);
  EXPECT_EQ(parse(json.dump()), json);
}

TEST(json, set_replaces_or_appends) {
  Json json;
  json.set("a", 1).set("b", "x").set("a", 2);
  EXPECT_EQ(json.dump(), R"({"a": 2, "b": "x"})");
}

TEST(json, names_the_kind_it_found) {
  try {
    parse("[1]").string();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "wrong kind of JSON value: expected string, found array");
  }
}

}  // namespace
}  // namespace nemotron
