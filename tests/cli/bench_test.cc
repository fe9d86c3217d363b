// `nemotron bench` as a user runs it: every combination is a row, the forms agree with their formats, refusals name the
// option, and Ctrl-C keeps what is done.

#include <gtest/gtest.h>

#include "cli/program.h"

namespace nemotron {
namespace {

class Bench : public Program {};

TEST_F(Bench, has_a_row_for_every_combination) {
  const Outcome o = run({"bench", pico, "--prompt", "8,0,16", "--gen", "4", "--depth", "0,10", "--batch", "1,3",
                         "--threads", "1,2", "--repeat", "2", "--ops", "--format", "json", "--chunk", "8"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.err, "");
  const Json report = parse_json(o.out, "bench");
  std::vector<std::string> seen;
  for (const Json& t : report.find("tests")->array()) {
    seen.push_back(t.find("test")->string() + " t" + t.find("threads")->dump() + " b" + t.find("batch")->dump());
    EXPECT_EQ(t.find("samples")->array().size(), 2u);
    const double rate = t.find("tokens_per_second")->number(), batch = t.find("batch")->number();
    EXPECT_GT(rate, 0);
    EXPECT_NEAR(t.find("ms_per_token")->number() * rate, 1000, 1e-6);
    EXPECT_EQ(t.find("steps")->number(), t.find("kind")->string() == "gen" ? 4 : t.find("tokens")->number() / 8);
    const double tokens_a_step = t.find("kind")->string() == "gen" ? batch : 8 * batch;
    EXPECT_NEAR(t.find("ms_per_step")->number(), tokens_a_step * t.find("ms_per_token")->number(), 1e-6);
    double share = 0;
    for (const Json& op : t.find("ops")->array()) share += op.find("percent_of_step")->number();
    EXPECT_NEAR(share, 100, 1e-6);
    EXPECT_GE(t.find("ops")->array().back().find("percent_of_step")->number(), 0);
  }
  std::vector<std::string> expected;
  for (const char* batch : {" b1", " b3"})
    for (const char* depth : {"", " @ d10"})
      for (const char* threads : {" t1", " t2"})
        for (const char* test : {"pp8", "pp16", "tg4"}) expected.push_back(std::string(test) + depth + threads + batch);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(report.find("limits")->array().size(), 2u);
  EXPECT_GT(report.find("startup_seconds")->number(), 0);
  EXPECT_GT(report.find("memory")->find("promised_bytes")->number(), 8e6);
}

TEST_F(Bench, prints_the_table_people_know) {
  const Outcome o = run({"bench", pico, "--prompt", "8", "--gen", "4", "--repeat", "2", "--threads", "1", "--kv", "fp8",
                         "--state", "f16", "--exact"});
  ASSERT_EQ(o.code, 0) << o.err;
  for (const char* part :
       {"limits, measured now:\n  1 thread: ", "pico: ", "BF16", "keys and values FP8, Mamba states F16",
        "activations of NVFP4 weights float32", "| test | threads | batch |", "| pp8 ", "| tg4 ", "± ",
        "peak memory: ", "`nemotron plan` promises "})
    EXPECT_NE(o.out.find(part), std::string::npos) << part << " is not in:\n" << o.out;
}

TEST_F(Bench, refuses_before_anything_is_measured) {
  for (const char* option : {"--prompt", "--gen", "--depth", "--batch", "--threads"})
    for (const char* bad : {"1,,2", "", "-1", "1,", ",1", "x", "1.5", "99999999999999999999", "4 "})
      if (*bad || std::string(option) != "--threads")
        expect_refused({"bench", pico, std::string(option) + "=" + bad}, {option});
  for (const char* option : {"--batch", "--threads"}) expect_refused({"bench", pico, option, "0"}, {option, "from 1"});
  for (const char* bad : {"0", "-3", "1001", "many"}) expect_refused({"bench", pico, "--repeat", bad}, {"--repeat"});
  expect_refused({"bench", pico, "--format", "xml"}, {"--format", "markdown", "xml"});
  expect_refused({"bench", pico, "--prompt", "0", "--gen", "0"}, {"nothing to measure", "--prompt and --gen"});
  expect_refused({"bench", pico, "--prompt", "4097"}, {"--prompt 4097", "context", "4096"});
  expect_refused({"bench", pico, "--prompt", "8", "--gen", "97", "--depth", "0,4000"},
                 {"--gen 97 at --depth 4000", "4096", "4097"});
  expect_refused({"bench", pico, "--target", "PDP11"}, {"PDP11"});
  expect_refused({"bench", (folder / "absent").string()}, {"absent"});
  std::string many = "1";
  for (int i = 0; i < 1000; ++i) many += ",1";
  expect_refused({"bench", pico, "--prompt", many}, {"too many tests"});
}

TEST_F(Bench, refuses_what_does_not_fit_into_memory) {
  TinyModel model("M*");
  model.config.set("max_position_embeddings", 1 << 24);
  model.write(folder.path());
  expect_refused({"bench", folder.path().string(), "--depth", "16000000", "--batch", "4096", "--prompt", "512"},
                 {"does not fit into memory", "GiB", "--batch"});
}

TEST_F(Bench, keeps_the_rows_that_are_done_when_interrupted) {
  const std::string out = "'" + (folder / "out").string() + "'";
  const std::string script = "'" NEMOTRON_PROGRAM "' bench '" + pico +
                             "' --prompt 1 --gen 4000 --repeat 1000 --threads 1 > " + out + " 2>/dev/null & p=$!; " +
                             "for i in $(seq 600); do grep -q '| pp1 ' " + out +
                             " && break; sleep 0.05; done; "
                             "kill -INT $p; wait $p";
  const int status = std::system(script.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const std::string text = read_text(folder / "out");
  EXPECT_NE(text.find("| pp1 "), std::string::npos) << text;
  EXPECT_EQ(text.find("| tg4000 "), std::string::npos) << text;
  EXPECT_NE(text.find("peak memory: "), std::string::npos) << text;
}

}  // namespace
}  // namespace nemotron
