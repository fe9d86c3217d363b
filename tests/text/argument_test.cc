// Arguments of tool calls: types as schemas spell them, and values where Python has its own mind.

#include "text/argument.h"

#include <gtest/gtest.h>

#include "golden.h"
#include "text/jinja/template.h"
#include "text/python_json.h"

namespace nemotron {
namespace {

// The value of a parameter whose schema is `schema`, as JSON.
std::string value(const std::string& text, const std::string& schema) {
  const Json tools = parse_json(R"([{"name": "f", "parameters": {"properties": {"p": )" + schema + "}}}]", "");
  return argument_value(text, ToolSchemas::from_json(tools, "").find("f")->parameters.find("p")->second).dump();
}

std::string typed(const std::string& text, const std::string& type) {
  return value(text, "{\"type\": \"" + type + "\"}");
}

TEST(Argument, reads_types_as_schemas_spell_them) {
  for (const char* type : {"integer", "INT", " Int32", "uint8", "long", "short", "unsigned", "\u00a0\u2003int"})
    EXPECT_EQ(typed("5", type), "5") << type;
  for (const char* type : {"array", "arr", "List[int]"}) EXPECT_EQ(typed("[5]", type), "[5]") << type;
  for (const char* type : {"object", "dict"}) EXPECT_EQ(typed("{}", type), "{}") << type;
  for (const char* type : {"string", "text", "varchar(9)", "char", "enum", "whatever", "", "\u200bint"})
    EXPECT_EQ(typed("5", type), "\"5\"") << type;
  EXPECT_EQ(value("None", R"({"type": [null]})"), "null");
  EXPECT_EQ(value("5", R"({"type": [1, true, ["int"], {"int": 1}]})"), "\"5\"");
  EXPECT_EQ(value("5", R"({"oneOf": [{"anyOf": [{}, {"type": "integer"}]}], "type": "array"})"), "5");
  for (const char* schema :
       {"true", "null", "[]", "\"integer\"", R"({"type": {"a": 1}})", R"({"anyOf": 5, "oneOf": {}})"})
    EXPECT_EQ(value("5", schema), "\"5\"") << schema;
}

TEST(Argument, tries_types_in_their_order_and_null_first) {
  EXPECT_EQ(value("5", R"({"type": ["string", "integer"]})"), "\"5\"");
  EXPECT_EQ(value("5", R"({"type": ["integer", "string"]})"), "5");
  EXPECT_EQ(value(" null\n", R"({"type": "string"})"), R"(" null\n")");
  EXPECT_EQ(value(" null\n", R"({"type": ["string", "null"]})"), "null");
  EXPECT_EQ(value("None", R"({"type": "integer"})"), "null");
  EXPECT_EQ(value("NULL", R"({"type": "null"})"), "\"NULL\"");
}

TEST(Argument, loses_no_digit) {
  EXPECT_EQ(typed("18446744073709551615", "integer"), "18446744073709551615");
  EXPECT_EQ(typed("-9223372036854775808", "integer"), "-9223372036854775808");
  EXPECT_EQ(typed("18446744073709551616", "integer"), "\"18446744073709551616\"");
  EXPECT_EQ(typed("-9223372036854775809", "integer"), "\"-9223372036854775809\"");
  EXPECT_EQ(typed("[123456789012345678901234567890, 1e400, -1e999]", "array"),
            "[123456789012345678901234567890, 1e400, -1e999]");
  EXPECT_EQ(typed("[" + std::string(4301, '9') + "]", "array"), "\"[" + std::string(4301, '9') + "]\"");
  EXPECT_EQ(typed("['', 123456789012345678901234567890]", "array"), "[\"\", 1.2345678901234568e+29]");
  EXPECT_EQ(typed("['', 1e400]", "array"), "\"['', 1e400]\"");
}

TEST(Argument, keeps_its_digits_in_the_next_prompt) {
  Json variables = Json::Object();
  variables.set("x", *read_json("[123456789012345678901234567890, -18446744073709551616, 1e400]"));
  EXPECT_EQ(jinja::Template::parse("{{ x[0] + 1 }} {{ x }}", "test").render(variables, {}),
            "123456789012345678901234567891 [123456789012345678901234567890, -18446744073709551616, inf]");
}

TEST(Argument, reads_numbers_as_python_does) {
  for (const auto& [text, expected] :
       std::vector<std::pair<std::string, std::string>>{{"1e3", "1000"},
                                                        {"5.", "5"},
                                                        {".5", "0.5"},
                                                        {"+2.5", "2.5"},
                                                        {"-0", "0"},
                                                        {"-0.0", "0"},
                                                        {"007", "7"},
                                                        {" 5 ", "5"},
                                                        {"1e-400", "0"},
                                                        {"1e-99999999999999999999", "0"},
                                                        {"0e999999999999999999999", "0"},
                                                        {"0.000e400", "0"},
                                                        {"5e-324", "5e-324"},
                                                        {"2.4703282292062327e-324", "0"},
                                                        {"9007199254740993.0", "9007199254740992.0"},
                                                        {"1e308", "1e+308"},
                                                        {"0." + std::string(400, '0') + "1e401", "1"}})
    EXPECT_EQ(typed(text, "number"), expected) << text;
  for (const char* text :
       {"1e309", "-1e309", "1e99999999999999999999", "nan", "inf", "1_0", "1,5", "٣", "1e", ".", "+", "", "0x1", "5 5"})
    EXPECT_EQ(typed(text, "number"), json_quote(text)) << text;
  EXPECT_EQ(typed("5.5", "integer"), "\"5.5\"");
}

TEST(Argument, reads_json_as_python_does) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"[-0, -0.0, 5.0, 1E5]", "[0, -0.0, 5.0, 100000.0]"},
           {R"({"a": 1, "b": 2, "a": 3})", R"({"a": 3, "b": 2})"},
           {R"({"a": "\ud800", "a": 1})", R"({"a": 1})"},  // half a pair that is not kept
           {R"(["\ud83d\ude42", "\u0000", "\/"])", R"(["🙂", "\u0000", "/"])"}}) {
    const std::optional<Json> json = read_json(text);
    ASSERT_TRUE(json) << text;
    EXPECT_EQ(json->dump(), expected);
  }
  for (const char* text : {R"(["\ud800"])",
                           R"(["\udc00"])",
                           R"({"\ud800": 1})",
                           "[NaN]",
                           "[Infinity]",
                           "[01]",
                           "[1.]",
                           "[.5]",
                           "[+1]",
                           "[1,]",
                           "['a']",
                           "[True]",
                           "[\"\n\"]",
                           "[\"\\x\"]",
                           "[\"\\u12\"]",
                           "[1] 2",
                           "{1: 2}",
                           "",
                           "[",
                           "{\"a\"}",
                           "\xEF\xBB\xBF[]",
                           "[1\u00a0]"})
    EXPECT_FALSE(read_json(text)) << text;
}

TEST(Argument, reads_the_python_spelling) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {R"(['it\'s', "it's", True, None, false,])", R"(["it's", "it's", true, null, false])"},
           {"{'a': 007, \"b\": 5.0,}", R"({"a": 7, "b": 5})"},
           {"['\t\x01\x7f']", "[\"\\t\\u0001\x7f\"]"},
           {R"(['\u00e9'])", "[\"é\"]"}}) {
    const std::optional<Json> json = read_python_json(text);
    ASSERT_TRUE(json) << text;
    EXPECT_EQ(json->dump(), expected);
  }
  for (const char* text : {"[,]", "[1,,]", "{,}", "{'a' 1}", "{a: 1}", "['\n']", R"(['\x41'])", R"(['\ud83d\ude42'])",
                           "[TRUE]", "[1.]", "(1,)", "['a' 'b']"})
    EXPECT_FALSE(read_python_json(text)) << text;
}

TEST(Argument, is_no_deeper_than_python_reads) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(typed(nested(900), "array"), nested(900));
  EXPECT_EQ(typed(nested(100'000), "array"), "\"" + nested(100'000) + "\"");
}

TEST(ToolSchemas, name_what_is_wrong) {
  const auto message = [](const char* tools) {
    return message_of([&] { ToolSchemas::from_json(parse_json(tools, ""), "tools.json"); });
  };
  EXPECT_EQ(message("{}"), "tools.json: the tools: expected a list of tools, found object");
  EXPECT_EQ(message("[{\"name\": \"f\"}, 5]"), "tools.json: tool 1: expected object, found integer");
  EXPECT_EQ(message("[{\"function\": null}]"), "tools.json: tool 0: 'function': expected object, found null");
  EXPECT_EQ(message("[{\"type\": \"function\"}]"), "tools.json: tool 0: 'name': expected string, found nothing");
  EXPECT_EQ(message("[{\"name\": 5}]"), "tools.json: tool 0: 'name': expected string, found integer");
  EXPECT_EQ(message(R"([{"name": "f", "parameters": []}, {"name": "g", "parameters": {"properties": []}}])"), "");
  EXPECT_TRUE(ToolSchemas::from_json(Json(), "").empty());
}

}  // namespace
}  // namespace nemotron
