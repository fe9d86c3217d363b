// The template language: what Jinja2 with transformers' settings gives, places of errors, and limits.

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "golden.h"
#include "text/jinja/bigint.h"
#include "text/jinja/template.h"

namespace nemotron::jinja {
namespace {

RenderOptions options() { return {.now = parse_time("2026-11-21T09:05:07", "test")}; }

std::string render(const std::string& source, const Json& variables = Json::Object()) {
  return Template::parse(source, "t").render(variables, options());
}

// The error of a template that must fail.
TemplateError error_of(const std::string& source, const Json& variables = Json::Object(), Limits limits = {}) {
  try {
    const std::string out = Template::parse(source, "t").render(variables, {.now = options().now, .limits = limits});
    ADD_FAILURE() << "no error from " << source.substr(0, 100) << " but: " << out.substr(0, 100);
  } catch (const TemplateError& error) {
    return error;
  }
  return TemplateError(FailureKind::value, "none", "t", 0, 0);
}

std::string repeated(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

// One group of tests/data/text/rendered/snippets.jsonl; the first line holds the variables of all.
class Snippets : public testing::TestWithParam<std::string> {};

TEST_P(Snippets, render_as_jinja2_does) {
  const std::vector<Json> lines = golden_lines("rendered/snippets.jsonl");
  Json variables = member(lines[0], "context");
  for (const char* unset : {"tools", "documents"}) variables.set(unset, Json());
  variables.set("add_generation_prompt", false);
  size_t count = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (member(lines[i], "group").string() != GetParam()) continue;
    ++count;
    const std::string& source = member(lines[i], "template").string();
    if (const Json* rendered = lines[i].find("rendered")) {
      try {
        EXPECT_EQ(render(source, variables), rendered->string()) << source;
      } catch (const TemplateError& error) {
        ADD_FAILURE() << source << ": " << error.what();
      }
    } else {
      const Json& wanted = member(lines[i], "error");
      const TemplateError error = error_of(source, variables);
      EXPECT_EQ(error.kind_name(), member(wanted, "kind").string()) << source;
      EXPECT_EQ(error.message, member(wanted, "message").string()) << source;
    }
  }
  EXPECT_GT(count, 2u);
}

INSTANTIATE_TEST_SUITE_P(Jinja, Snippets,
                         testing::Values("literals", "python_text", "operators", "strings", "lists", "dicts", "tests",
                                         "filters", "loops", "macros", "statements", "scope", "whitespace", "errors",
                                         "rare"),
                         [](const auto& name) { return name.param; });

TEST(Jinja, the_groups_of_snippets_are_all_tested) {
  const std::vector<Json> lines = golden_lines("rendered/snippets.jsonl");
  std::set<std::string> groups;
  for (size_t i = 1; i < lines.size(); ++i) groups.insert(member(lines[i], "group").string());
  EXPECT_EQ(groups.size(), 15u);
  EXPECT_EQ(lines.size(), 652u);
}

TEST(Jinja, an_error_has_the_line_and_column_of_its_expression) {
  const TemplateError undefined = error_of("one\n  é{{ 1 + x.y.z }}");
  EXPECT_EQ(undefined.line, 2u);
  EXPECT_EQ(undefined.column, 12u);  // the second dot; columns count characters
  EXPECT_STREQ(undefined.what(), "t:2:12: 'x' is undefined");
  const TemplateError syntax = error_of("{% if a %}\n\n{{ 1 + }}");
  EXPECT_STREQ(syntax.kind_name(), "syntax");
  EXPECT_EQ(syntax.line, 3u);
  const TemplateError raised = error_of("{% macro m() %}\n{{ raise_exception('no\nway') }}{% endmacro %}{{ m() }}");
  EXPECT_STREQ(raised.kind_name(), "raise_exception");
  EXPECT_EQ(raised.message, "no\nway");
  EXPECT_EQ(raised.line, 2u);
}

TEST(Jinja, names_mean_what_the_text_of_the_template_decides) {
  const Json outside = parse_json(R"({"x": "given"})", "test");
  // A name set further down in the same scope hides the one given from outside.
  EXPECT_EQ(render("{% for i in [1] %}[{{ x }}]{% endfor %}{% set x = 1 %}{{ x }}", outside), "[]1");
  EXPECT_EQ(render("{{ x }}{% if false %}{% set x = 1 %}{% endif %}{{ x }}", outside), "givengiven");
  EXPECT_EQ(render("{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% set x = 1 %}{{ m() }}", outside), "1");
  EXPECT_EQ(render("{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}", outside),
            "given1given2given");
  EXPECT_EQ(render("{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}", outside), "1given");
  EXPECT_EQ(render("{% block b %}{{ x }}{{ y is defined }}{% endblock %}", outside), "givenFalse");
  EXPECT_EQ(render("{% set y = 2 %}{% block b %}{{ y }}{% endblock %}"), "2");
  EXPECT_EQ(render("{% for i in [1] %}{% block b scoped %}{{ i }}{% endblock %}{% endfor %}"), "1");
}

TEST(Jinja, a_loop_left_early_still_runs_its_else) {
  EXPECT_EQ(render("{% for i in [1, 2] %}{{ i }}{% break %}{% else %}e{% endfor %}"), "1e");
  EXPECT_EQ(render("{% for i in [1, 2] %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% else %}e{% endfor %}"), "12");
}

TEST(Jinja, filters_work_item_by_item) {
  EXPECT_EQ(render("{{ [{'a': 1}, {}] | map(attribute='a.b') | first is defined }}"), "False");
  EXPECT_EQ(render("{{ ['ok', 5] | map('upper') | first }}"), "OK");
  EXPECT_EQ(render("{% set ns = namespace(n=0) %}{% for i in range(9) if i > ns.n %}{% set ns.n = i + 2 %}{{ i }}"
                   "{% endfor %}"),
            "147");
}

TEST(Jinja, markup_escapes_what_is_joined_to_it) {
  EXPECT_EQ(render("{{ '<a>' + ('<b>' | safe) }}|{{ '<a>' ~ ('<b>' | safe) }}|{{ ('%s' | safe) % '<' }}"),
            "&lt;a&gt;<b>|<a><b>|&lt;");
}

TEST(Jinja, integers_have_any_size) {
  EXPECT_EQ(render("{{ 2 ** 64 }} {{ 18446744073709551615 + 1 - 1 }} {{ -7 // 2 ** 70 }} {{ 10 ** 20 % 7 }}"),
            "18446744073709551616 18446744073709551615 -1 2");
  EXPECT_EQ(render("{{ 9223372036854775807 + 1 }} {{ -9223372036854775808 - 1 }} {{ (-9223372036854775808) // -1 }}"),
            "9223372036854775808 -9223372036854775809 9223372036854775808");
  EXPECT_EQ(render("{{ 9007199254740993 / 1 }} {{ 9007199254740993 == 9007199254740992.0 }} {{ 10 ** 400 > 1e308 }}"),
            "9007199254740992.0 False True");
  EXPECT_EQ(render("{{ n }}", parse_json(R"({"n": 18446744073709551615})", "test")), "18446744073709551615");
}

TEST(Jinja, division_of_big_integers_satisfies_its_definition) {
  uint64_t state = 1;
  const auto random = [&](size_t limbs) {
    BigInt out;
    for (size_t i = 0; i < limbs; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      out = out.shifted_left(32) + BigInt(uint64_t{state >> (state % 37)} >> 27);
    }
    return state & 4 ? -out : out;
  };
  for (size_t i = 0; i < 500; ++i) {
    const BigInt a = random(i % 9), b = random(1 + i % 5);
    if (b.is_zero()) continue;
    BigInt quotient, rest;
    BigInt::divide(a, b, quotient, rest);
    EXPECT_EQ(quotient * b + rest, a);
    EXPECT_TRUE(rest.is_zero() || rest.is_negative() == b.is_negative());
    EXPECT_TRUE((rest.is_negative() ? -rest : rest) < (b.is_negative() ? -b : b));
    EXPECT_EQ(BigInt::parse((a.is_negative() ? -a : a).text(16), 16), a.is_negative() ? -a : a);
  }
}

TEST(Jinja, the_sandbox_hides_what_could_change_or_escape) {
  EXPECT_STREQ(error_of("{{ [].append(1) }}").kind_name(), "security");
  EXPECT_STREQ(error_of("{{ {}.update({}) }}").kind_name(), "security");
  EXPECT_STREQ(error_of("{{ ''.__class__.__mro__ }}").kind_name(), "security");
  EXPECT_STREQ(error_of("{{ '{0.__class__.x}'.format(1) }}").kind_name(), "security");
  EXPECT_STREQ(error_of("{% set ns = namespace() %}{% set ns._a = 1 %}").kind_name(), "security");
  EXPECT_STREQ(error_of("{{ range(100001) }}").kind_name(), "value");
}

TEST(Jinja, what_is_unsupported_is_refused_by_name) {
  for (const auto& [source, name] :
       std::vector<std::pair<std::string, std::string>>{{"{{ 'x' | urlize }}", "urlize"},
                                                        {"{{ 'x'.encode() }}", "encode"},
                                                        {"{{ lipsum() }}", "lipsum"},
                                                        {"{{ '\\N{BULLET}' }}", "\\N"},
                                                        {"{{ (-8) ** 0.5 }}", "complex"}}) {
    EXPECT_NE(error_of(source).message.find(name), std::string::npos) << source;
  }
}

TEST(Jinja, a_lone_surrogate_is_an_error_only_in_the_output) {
  EXPECT_EQ(render(R"({{ '\ud83d' | tojson(ensure_ascii=true) }}{{ '\ud83d' | length }})"), "\"\\ud83d\"1");
  EXPECT_STREQ(error_of(R"({{ '\ud83d' }})").kind_name(), "value");
  EXPECT_STREQ(error_of("\xFF").kind_name(), "syntax");
}

TEST(Jinja, text_is_counted_and_cased_by_code_points) {
  EXPECT_EQ(
      render(
          "{{ 'aé中🙂'[::-1] }} {{ 'aé中🙂'[1:3] }} {{ 'aé中🙂'.find('🙂') }} {{ 'é'.center(4, '中') "
          "}}|"),
      "🙂中éa é中 3 中é中中|");
  EXPECT_EQ(render("{{ 'ΑΣ. ΣΑΣ'.lower() }} {{ 'ǆ ﬁ'.title() }} {{ 'STRASSE'.lower() }} {{ 'straße'.upper() }}"),
            "ας. σας ǅ Fi strasse STRASSE");
  EXPECT_EQ(render("{{ ['\\u200b\\xad\\x00\\u0378', 'it\\'s', '\\U0001F600'] }}"),
            "['\\u200b\\xad\\x00\\u0378', \"it's\", '😀']");
}

TEST(Jinja, one_template_renders_in_many_threads) {
  const Template shared = Template::parse("{% for i in range(200) %}{{ i ~ x }}{% endfor %}{{ 2 ** 70 }}", "t");
  std::vector<std::string> out(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < out.size(); ++i) {
    threads.emplace_back([&, i] {
      Json variables = Json::Object();
      variables.set("x", "é");
      for (int again = 0; again < 20; ++again) out[i] = shared.render(variables, options());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : out) EXPECT_EQ(text, out[0]);
  EXPECT_TRUE(out[0].ends_with("199é1180591620717411303424"));
}

// Templates that would take for ever, recurse without end, or fill the memory.
TEST(Jinja, hostile_templates_end_in_an_error) {
  const std::vector<std::string> sources = {
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
      "{% macro a() %}{% call b() %}x{% endcall %}{% endmacro %}{% macro b() %}{{ caller() }}{{ a() }}{% endmacro %}{{ "
      "a() }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% macro f() %}{{ " + repeated("(1 + ", 90) + "f()" + repeated(")", 90) + " }}{% endmacro %}{{ f() }}",
      "{% set ns = namespace(g=[1]) %}{% for i in range(99999) %}{% set ns.g = ns.g | map('string') %}{% endfor %}"
      "{{ ns.g | list }}",
      "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{{ 'a' * 10 ** 10 }}",
      "{{ [0] * 10 ** 10 }}",
      "{{ 'x'.center(10 ** 12) }}",
      "{{ '%*d' % (10 ** 10, 1) }}",
      "{{ '{:99999999999}'.format(1) }}",
      "{{ '{:999999999}'.format(1) }}",
      "{{ ('x' * 9999).replace('x', 'y' * 99999) }}",
      "{{ 'a' | indent(10 ** 12, true) }}",
      "{{ [[[]]] | tojson(indent=10 ** 9) }}",
      "{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson "
      "}}",
      "{% set ns = namespace(l=[], m=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}"
      "{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
      "{% set ns = namespace(t=()) %}{% for i in range(9999) %}{% set ns.t = (ns.t,) %}{% endfor %}{{ {ns.t: 1} }}",
      "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
      "{% for i in range(100000) %}{{ (10 ** 4000) // 7 }}{% endfor %}",
      "{{ 10 ** 5000 }}",
      "{% set s = 'a' * 1000000 %}{% for i in range(99999) %}{{ ('a' * 500000 ~ 'b') in s }}{% endfor %}",
      "{% set s = 'a' * 100000 %}{% for i in range(300) %}{{ 'aaab' in s }}{% endfor %}",
      "{% set a %}" + repeated("x", 9999) + "{% endset %}{% for i in range(99999) %}{{ a }}{% endfor %}",
  };
  for (const std::string& source : sources) {
    // The first ones under the limits of a prompt, which are about a second; a tenth of the work for the others, since
    // sanitizers make it ten times as slow.
    const Limits limits = &source < &sources[3] ? Limits{} : Limits{.work = Limits{}.work / 10};
    const auto start = std::chrono::steady_clock::now();
    EXPECT_STREQ(error_of(source, Json::Object(), limits).kind_name(), "value") << source;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << source;
  }
}

TEST(Jinja, nesting_in_the_source_is_limited) {
  constexpr size_t n = 100'000;
  for (const std::string& source :
       {"{{ " + repeated("(", n) + "1" + repeated(")", n) + " }}", "{{ " + repeated("[", n) + repeated("]", n) + " }}",
        "{{ " + repeated("not ", n) + "1 }}", "{{ " + repeated("- ", n) + "1 }}", "{{ 1" + repeated(" + 1", n) + " }}",
        "{{ a" + repeated(".b", n) + " }}", "{{ a" + repeated("|upper", n) + " }}",
        "{{ 1" + repeated(" if 1 else 1", n) + " }}", repeated("{% if 1 %}", n), repeated("{% for i in [1] %}", n),
        "{{ a" + repeated("(", n) + " }}", "{{ " + repeated("{1:", n) + " }}",
        "{{ x" + repeated(" is not none", n) + " }}"}) {
    EXPECT_STREQ(error_of(source).kind_name(), "syntax") << source.substr(0, 40);
  }
  // What is merely long is no matter.
  EXPECT_EQ(render("{% if 0 %}" + repeated("{% elif 0 %}", n) + "{% else %}x{% endif %}"), "x");
  EXPECT_EQ(render("{{ 1" + repeated(" ~ 1", n) + " }}").size(), n + 1);
}

TEST(Jinja, values_nested_deeply_die_without_recursion) {
  EXPECT_EQ(render("{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}ok"),
            "ok");
}

TEST(Jinja, scopes_held_by_their_own_macros_are_freed) {
  // Leak checkers look at this one.
  EXPECT_EQ(render("{% set ns = namespace() %}{% macro m() %}{% macro n() %}{{ ns }}{% endmacro %}{% set ns.n = n %}"
                   "{% set ns.loop = ns %}{% endmacro %}{{ m() }}{% for i in [1, 2] if ns.n %}{% set ns.l = loop %}{% "
                   "endfor %}ok"),
            "ok");
}

TEST(Jinja, a_time_is_read_and_printed) {
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M:%S %j %A %-d %f%z%%') }}"),
            "21 Nov 2026 09:05:07 325 Saturday 21 000000%");
  EXPECT_EQ(render("{{ strftime_now('') }}{{ strftime_now('%99999d') }}"), "");
  for (const char* text :
       {"", "2026", "2026-13-01T00:00:00", "2026-02-30T00:00:00", "2026-02-03T25:00:00", "2026-02-03T01:02:03x"}) {
    EXPECT_THROW(parse_time(text, "--now"), Error) << text;
  }
}

}  // namespace
}  // namespace nemotron::jinja
