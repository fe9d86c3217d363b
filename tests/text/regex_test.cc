// Regex: Oniguruma's matches, refusals that say why, and bounded time.

#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "golden.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

std::vector<std::string> matches_of(const std::string& pattern, const std::string& text, double seconds = 10) {
  const Regex regex(pattern, "test");
  RegexWorkspace workspace;
  RegexBudget budget = RegexBudget::of_seconds(seconds);
  RegexMatches matches(regex, text, workspace, budget);
  std::vector<std::string> out;
  for (size_t begin = 0, end = 0; matches.next(begin, end);) {
    if (begin < end) out.push_back(text.substr(begin, end - begin));
  }
  return out;
}

TEST(Regex, matches_what_oniguruma_matches) {
  const Json rows = test_data("text/regexes.json");
  for (const Json& row : rows.array()) {
    std::vector<std::string> expected;
    for (const Json& match : member(row, "matches").array()) expected.push_back(match.string());
    EXPECT_EQ(matches_of(member(row, "pattern").string(), member(row, "text").string()), expected) << row.dump();
  }
}

TEST(Regex, refuses_what_it_cannot_match_exactly) {
  const std::pair<const char*, const char*> refused[] = {
      {"(a)\\1", "back reference"},
      {"(?<n>a)\\k<n>", "back reference"},
      {"a\\G", "\\G behind something else"},
      {"(?<=\\G.)a", "\\G behind something else"},
      {"\\X", "unsupported escape"},
      {"\\K", "unsupported escape"},
      {"\\R", "unsupported escape"},
      {"(?~ab)", "unsupported kind"},
      {"(?(1)a|b)", "unsupported kind"},
      {"(?x: a)", "unsupported kind"},
      {"\\p{Linear_A}", "the property 'Linear_A', which is not supported"},
      {"\\p{Alphabetic}", "the property 'Alphabetic', which is not supported"},
      {"[[:alpha:]]", "the POSIX bracket 'alpha', which is not supported"},
      {"[[:abc]", "POSIX bracket without a name"},
      {"(?i:é)", "outside ASCII"},
      {"(?i:ⓐ)", "outside ASCII"},
      {"(?i:\\p{Greek})", "ignores the case"},
      {"(?i:ss)", "ligature"},
      {"(?i:\\p{Lu})", "ignores the case"},
      {"a)", "closing parenthesis"},
      {"(a", "opening parenthesis"},
      {"[a", "opening bracket"},
      {"[]", "empty character class"},
      {"[b-a]", "runs backwards"},
      {"a{3,2}", "runs backwards"},
      {"*a", "repeats nothing"},
      {"a{99999}", "10,000 times"},
      {"\\x{110000}", "no character"},
      {"\\xe9", "no character by itself"},
      {"\\p", "without braces"},
      {"\\", "ends too early"},
      {"(?<=a*)b", "a regex that cannot be compiled"},
      {"(*COMMIT)a", "repeats nothing"},
      {"[\\d-z]", "starts with a class"},
      {"\\u12", "no character"},
  };
  for (const auto& [pattern, reason] : refused) {
    const std::string message = message_of([p = pattern] { Regex(p, "here"); });
    EXPECT_NE(message.find("here: a regex that cannot be compiled"), message.npos) << pattern << ": " << message;
    EXPECT_NE(message.find(reason), message.npos) << pattern << ": " << message;
  }
  EXPECT_NE(message_of([] { Regex(std::string(5000, '('), "here"); }).find("nested deeper"), std::string::npos);
  EXPECT_NE(message_of([] { Regex(std::string(20000, 'a'), "here"); }).find("longer"), std::string::npos);
}

TEST(Regex, gives_up_on_exponential_patterns_with_an_error) {
  const std::string text = std::string(60, 'a') + "cb";
  EXPECT_NE(message_of([&] { matches_of("(?:a|a)*b", text, 0.02); }).find("gives up"), std::string::npos);
  EXPECT_NE(message_of([&] { matches_of("(?:a*)*b", text, 0.02); }).find("gives up"), std::string::npos);
}

// Each of these is tried from every place and looks at all that follows: quadratic time, or worse. A clock stops them;
// of its usual half a second and more a small part is enough here.
TEST(Regex, gives_up_on_patterns_that_take_quadratic_time) {
  const std::string text(2'000'000, 'a');
  for (const char* pattern : {"a*b|a", "a*b|a*c|a", "(?=.*x)a|.", ".*?x|.", "(?:a|b)*c|.", "a*a*a*b|.", "(?:a*)*b"}) {
    EXPECT_NE(message_of([&] { matches_of(pattern, text, 0.02); }).find("gives up"), std::string::npos) << pattern;
  }
}

// What a window at first hides must not change the match.
TEST(Regex, matches_reach_as_far_as_they_need) {
  const std::string run(10'000, 'a');
  EXPECT_EQ(matches_of("a+b|a+", run + "c" + run + "b"), (std::vector<std::string>{run, run + "b"}));
  EXPECT_EQ(matches_of("a+(?!b)", run + "b"), (std::vector<std::string>{run.substr(1)}));
  EXPECT_EQ(matches_of("a{1,3}(?=a{200}\\z)|b", run + "b" + run.substr(0, 203)),
            (std::vector<std::string>{"b", "aaa"}));
  EXPECT_EQ(matches_of("(?:ab?){500}(?=a|$)", run), std::vector<std::string>(20, run.substr(0, 500)));
  EXPECT_EQ(matches_of("\\w+\\b", run), (std::vector<std::string>{run}));
}

// "\s+$" tried from every space of a long run would take 10^10 steps.
TEST(Regex, passes_over_a_run_that_leads_nowhere) {
  const std::string spaces(200'000, ' ');
  EXPECT_EQ(matches_of("\\s+$", spaces + "x" + "  "), (std::vector<std::string>{"  "}));
  EXPECT_EQ(matches_of("(?:\\s)+x", spaces + "\nyx " + "x"), (std::vector<std::string>{" x"}));
}

TEST(Unicode, categories_are_those_of_unicode_16) {
  EXPECT_EQ(category_of('A'), Category::Lu);
  EXPECT_EQ(category_of(0x4E2D), Category::Lo);
  EXPECT_EQ(category_of(0x31350), Category::Lo);  // Unicode 15
  EXPECT_EQ(category_of(0x2EBF0), Category::Lo);  // Unicode 15.1
  EXPECT_EQ(category_of(0x1C89), Category::Lu);   // Unicode 16
  EXPECT_EQ(category_of(0xD800), Category::Cs);
  EXPECT_EQ(category_of(0x10FFFF), Category::Cn);
  EXPECT_EQ(code_points_of_category("Uppercase_Letter"), code_points_of_category("lu"));
  EXPECT_EQ(code_points_of_category("Latin"), std::nullopt);
}

TEST(CodePoints, algebra_agrees_with_membership) {
  const CodePoints a = {{5, 9}, {1, 3}, {4, 4}, {20, 30}}, b = {{8, 22}, {0, 0}, {0x10FFFF, 0x10FFFF}};
  EXPECT_EQ(a.ranges().size(), 2u);
  for (const char32_t c : {0u, 1u, 4u, 8u, 9u, 10u, 20u, 22u, 23u, 30u, 31u, 0x10FFFEu, 0x10FFFFu}) {
    EXPECT_EQ((a | b).contains(c), a.contains(c) || b.contains(c)) << uint32_t(c);
    EXPECT_EQ((a & b).contains(c), a.contains(c) && b.contains(c)) << uint32_t(c);
    EXPECT_EQ((a - b).contains(c), a.contains(c) && !b.contains(c)) << uint32_t(c);
  }
  EXPECT_EQ(a.complement().complement(), a);
  EXPECT_EQ(CodePoints().complement().complement(), CodePoints());
}

}  // namespace
}  // namespace nemotron
