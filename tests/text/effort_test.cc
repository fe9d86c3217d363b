// Efforts against templates with the switches of different families, and with none.

#include "text/effort.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace nemotron {
namespace {

EffortSwitch switched(const std::string& source, const std::string& effort) {
  return switch_effort(jinja::Template::parse(source, "template"), Effort::parse(effort, "--think"));
}
std::string kwargs(const std::string& source, const std::string& effort) {
  return switched(source, effort).kwargs.dump();
}

constexpr const char* kNemotron =
    "{%- set enable_thinking = enable_thinking | default(true) %}{{ low_effort is defined }}";
constexpr const char* kDeepSeek = "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{{ thinking }}";
constexpr const char* kHarmony =
    "{%- if reasoning_effort is not defined %}{%- set reasoning_effort = 'medium' %}{% endif %}";
constexpr const char* kSeed = "{% if thinking_budget is defined %}{{ thinking_budget }}{% endif %}";
constexpr const char* kNano2 = "{% for m in messages %}{% if '/no_think' in m.content %}x{% endif %}{% endfor %}";
constexpr const char* kNone = "{% for m in messages %}{{ m.thinking }}{% set thinking = 1 %}{{ thinking }}{% endfor %}";

TEST(Effort, reads_names_and_numbers) {
  EXPECT_EQ(Effort::parse("off", "").level, Effort::Level::off);
  EXPECT_EQ(Effort::parse("default", "").level, Effort::Level::unset);
  EXPECT_EQ(Effort::parse("512", "").budget, 512);
  EXPECT_EQ(Effort::parse("512", "").level, Effort::Level::on);
  EXPECT_EQ(Effort::parse("0", "").budget, 0);
  for (const char* name : {"default", "off", "on", "low", "medium", "high", "77"})
    EXPECT_EQ(Effort::parse(name, "").name(), name);
  for (const char* bad : {"", "hard", "-1", "1.5", "1e3", "12x", " 5", "99999999999", "99999999999999999999", "on "})
    EXPECT_THROW(Effort::parse(bad, "--think"), Error) << bad;
}

TEST(Effort, unset_leaves_the_template_alone) {
  for (const char* t : {kNemotron, kDeepSeek, kHarmony, kSeed, kNano2, kNone}) {
    const EffortSwitch s = switched(t, "default");
    EXPECT_EQ(s.kwargs.dump(), "{}");
    EXPECT_EQ(s.system, "");
    EXPECT_FALSE(s.budget);
  }
}

TEST(Effort, uses_the_switch_that_the_template_has) {
  EXPECT_EQ(kwargs(kNemotron, "on"), R"({"enable_thinking": true})");
  EXPECT_EQ(kwargs(kNemotron, "off"), R"({"enable_thinking": false})");
  EXPECT_EQ(kwargs(kNemotron, "low"), R"({"enable_thinking": true, "low_effort": true})");
  EXPECT_FALSE(switched(kNemotron, "off").budget);
  EXPECT_EQ(kwargs(kDeepSeek, "on"), R"({"thinking": true})");
  EXPECT_EQ(kwargs(kDeepSeek, "off"), R"({"thinking": false})");
  EXPECT_EQ(kwargs(kHarmony, "on"), "{}");
  EXPECT_EQ(kwargs(kHarmony, "high"), R"({"reasoning_effort": "high"})");
  EXPECT_EQ(kwargs(kSeed, "off"), R"({"thinking_budget": 0})");
  EXPECT_EQ(kwargs(kNone, "on"), "{}") << "a variable of its own is no switch";
}

TEST(Effort, off_closes_any_thought_where_nothing_else_does) {
  EXPECT_EQ(switched(kNone, "off").budget, 0);
  EXPECT_EQ(switched(kNano2, "off").system, "/no_think");
  EXPECT_EQ(switched(kNano2, "on").system, "");
  EXPECT_EQ(switched(kNemotron, "off").system, "");
}

TEST(Effort, a_budget_is_kept_by_the_engine_and_told_to_the_template) {
  EXPECT_EQ(kwargs(kNemotron, "100"), R"({"enable_thinking": true})");
  EXPECT_EQ(switched(kNemotron, "100").budget, 100);
  EXPECT_EQ(kwargs(kSeed, "100"), R"({"thinking_budget": 100})");
  EXPECT_EQ(switched(kNone, "100").budget, 100);
}

TEST(Effort, a_level_without_a_switch_is_refused) {
  for (const char* level : {"medium", "high"}) EXPECT_THROW(switched(kNemotron, level), Error);
  for (const char* level : {"low", "medium", "high"}) EXPECT_THROW(switched(kDeepSeek, level), Error);
}

TEST(Template, knows_the_variables_that_it_reads) {
  const auto reads = [](const char* source, const char* name) {
    return jinja::Template::parse(source, "t").reads(name);
  };
  EXPECT_TRUE(reads("{{ a }}", "a"));
  EXPECT_TRUE(reads("{% macro m(x) %}{{ a ~ x }}{% endmacro %}{{ m(1) }}", "a"));
  EXPECT_FALSE(reads("{% macro m(x) %}{{ a ~ x }}{% endmacro %}{{ m(1) }}", "x"));
  EXPECT_TRUE(reads("{% for i in a %}{% if b %}{% endif %}{% endfor %}", "b"));
  EXPECT_FALSE(reads("{% for i in a %}{{ i }}{% endfor %}", "i"));
  EXPECT_FALSE(reads("{% set a = 1 %}{{ a }}", "a"));
  EXPECT_FALSE(reads("{{ x.a }} a {# a #}{{ 'a' }}", "a"));
  EXPECT_TRUE(reads("{% block b %}{{ a }}{% endblock %}", "a"));
}

}  // namespace
}  // namespace nemotron
