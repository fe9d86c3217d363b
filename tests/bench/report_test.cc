// The arithmetic of the rows of `nemotron bench`, and that every form of the report says the same.

#include "bench/report.h"

#include <gtest/gtest.h>

#include <sstream>

namespace nemotron {
namespace {

TEST(Statistics, of_samples_are_those_of_the_textbook) {
  const Statistics s = statistics({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_DOUBLE_EQ(s.mean, 5);
  EXPECT_DOUBLE_EQ(s.sd, std::sqrt(32.0 / 7));  // of a sample: over n - 1
  EXPECT_DOUBLE_EQ(s.median, 4.5);
  EXPECT_EQ(s.least, 2);
  EXPECT_EQ(s.greatest, 9);
  EXPECT_EQ(statistics({3, 1, 2}).median, 2);
  EXPECT_EQ(statistics({7}).sd, 0);
  EXPECT_EQ(statistics({}).mean, 0);
}

// Two runs of 10 steps of 4 sequences, in 1 and 0.5 seconds.
Measured row() {
  Measured m;
  m.test = {.decode = true, .tokens = 10, .depth = 4096, .batch = 4, .threads = 2};
  m.limits = {.threads = 2, .bandwidth = 100e9, .f32 = 50e9, .int8 = 200e9};
  m.seconds = {1, 0.5};
  m.cost = {.bytes = 40e9, .f32 = 10e9, .int8 = 20e9};
  m.passes = 10;
  m.limit_seconds = 0.45;
  return m;
}

TEST(Figures, of_a_row_agree_with_each_other) {
  const Figures f = figures(row());
  EXPECT_DOUBLE_EQ(f.rate.mean, 60);  // 40 and 80 tokens a second
  EXPECT_DOUBLE_EQ(f.ms_a_token, 1e3 / 60);
  EXPECT_DOUBLE_EQ(f.ms_a_step, 4e3 / 60);  // four tokens
  // 1.5 runs a second:
  EXPECT_DOUBLE_EQ(f.bytes, 60e9);
  EXPECT_DOUBLE_EQ(f.operations, 45e9);
  EXPECT_DOUBLE_EQ(f.bandwidth, 0.6);
  EXPECT_DOUBLE_EQ(f.compute, 1.5 * (10.0 / 50 + 20.0 / 200));
  EXPECT_DOUBLE_EQ(f.roofline, 1.5 * 0.45);
}

TEST(Limits, are_the_caches_where_one_holds_the_weights) {
  Limits l = row().limits;
  const Cost c{.bytes = 1e9, .f32 = 1e9, .int8 = 0};
  EXPECT_DOUBLE_EQ(l.memory_seconds(c), 0.01);
  EXPECT_DOUBLE_EQ(l.seconds(c), 0.02);  // computing takes longer
  l.cached = 200e9;
  EXPECT_DOUBLE_EQ(l.memory_seconds(c), 0.005);
}

TEST(BenchTest, is_called_as_it_is_in_llama_bench) {
  EXPECT_EQ(row().test.name(), "tg10 @ d4096");
  EXPECT_EQ((BenchTest{.tokens = 512}.name()), "pp512");
}

std::vector<std::string> cells(const std::string& csv_line) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : csv_line) {
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

TEST(Report, says_the_same_in_csv_and_json_and_markdown) {
  Setting setting;
  setting.cpu = "a \"fast\" one, with a comma";
  setting.limits = {row().limits};
  const std::vector<Measured> rows = {row(), row()};
  const Peak peak{.measured = 12345, .promised = {}, .kept = 6};
  std::istringstream csv(csv_of(setting, rows, peak, false));
  std::string names, values, more;
  ASSERT_TRUE(std::getline(csv, names) && std::getline(csv, values) && std::getline(csv, more));
  EXPECT_EQ(values, more);
  EXPECT_FALSE(std::getline(csv, more));
  const Json json = parse_json(json_of(setting, rows, peak).dump(), "json");
  const Json& test = json.find("tests")->array().at(1);
  const std::vector<std::string> name = cells(names), value = cells(values);
  ASSERT_EQ(name.size(), value.size());
  for (size_t i = 0; i < name.size(); ++i) {
    const Json* found = test.find(name[i]);
    if (!found) found = json.find(name[i]);
    if (!found) found = json.find("memory")->find(name[i]);
    ASSERT_TRUE(found) << name[i];
    if (name[i] == "cpu")
      EXPECT_EQ(value[i], "\"a \"\"fast\"\" one, with a comma\"");
    else
      EXPECT_EQ(value[i], found->is_string() ? '"' + found->string() + '"'
                          : found->is_null() ? ""
                                             : found->dump())
          << name[i];
  }
  EXPECT_EQ(test.find("samples")->dump(), "[40.0, 80.0]");
  EXPECT_DOUBLE_EQ(test.find("percent_of_bandwidth")->number(), 60);
  const std::string line = markdown_row(row(), {row().test});
  for (const char* part : {"| tg10 @ d4096 |", " 60.00 ± 28.28 |", " 66.67 |", " 60 % |", " 45 % |", " 68 % |"})
    EXPECT_NE(line.find(part), std::string::npos) << part << " is not in " << line;
}

TEST(Report, has_what_is_between_the_ops) {
  Measured m = row();
  m.ops = {{.op = "linear",
            .module = "in_proj",
            .format = Format::nvfp4,
            .rows = 32,
            .cols = 64,
            .calls = 20,
            .seconds = 0.6,
            .limit_seconds = 0.3,
            .cost = {.bytes = 6e9}},
           {.op = "add", .calls = 10, .seconds = 0.1}};
  m.ops_passes = 10, m.ops_seconds = 1;
  const std::vector<Json::Object> all = ops_fields(m);
  ASSERT_EQ(all.size(), 3u);
  const Json linear(all[0]), between(all[2]);
  EXPECT_EQ(linear.find("calls_a_step")->number(), 2);
  EXPECT_DOUBLE_EQ(linear.find("us_a_call")->number(), 30000);
  EXPECT_DOUBLE_EQ(linear.find("percent_of_limit")->number(), 50);
  EXPECT_DOUBLE_EQ(linear.find("gb_per_second")->number(), 10);
  EXPECT_EQ(linear.find("format")->string(), "NVFP4");
  EXPECT_TRUE(Json(all[1]).find("percent_of_limit")->is_null());
  EXPECT_EQ(between.find("op")->string(), "between the ops");
  EXPECT_NEAR(between.find("percent_of_step")->number(), 30, 1e-9);
  const std::string text = markdown_tail({m}, {.measured = 1 << 20, .promised = {}, .kept = 0});
  EXPECT_NE(text.find("| linear in_proj  | 32 x 64 |"), std::string::npos) << text;
  EXPECT_NE(text.find("| between the ops |"), std::string::npos) << text;
  EXPECT_NE(text.find("peak memory: 1.0 MiB"), std::string::npos) << text;
}

}  // namespace
}  // namespace nemotron
