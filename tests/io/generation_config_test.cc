// generation_config.json: what it gives, and what is refused.

#include "io/generation_config.h"

#include <gtest/gtest.h>

#include "folders.h"

namespace nemotron {
namespace {

TEST(GenerationConfig, reads_what_the_releases_write) {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  EXPECT_TRUE(load_generation_config(folder.path(), warnings).eos_token_ids.empty());
  write_text(
      folder / "generation_config.json",
      R"({"eos_token_id":[2,11],"do_sample":true,"temperature":1.0,"top_p":0.95,"top_k":50,"min_p":0.1,"max_new_tokens":7,"pad_token_id":null})");
  const GenerationConfig c = load_generation_config(folder.path(), warnings);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{2, 11}));
  EXPECT_EQ(c.do_sample, true);
  EXPECT_EQ(c.temperature, 1.0);
  EXPECT_EQ(c.top_p, 0.95);
  EXPECT_EQ(c.top_k, 50);
  EXPECT_EQ(c.min_p, 0.1);
  EXPECT_EQ(c.max_new_tokens, 7);
  EXPECT_TRUE(warnings.empty());
}

TEST(GenerationConfig, one_stop_id_may_stand_alone_and_null_says_nothing) {
  std::vector<std::string> warnings;
  const GenerationConfig c =
      parse_generation_config(parse_json(R"({"eos_token_id":2,"temperature":null})", ""), "g", warnings);
  EXPECT_EQ(c.eos_token_ids, std::vector<int32_t>{2});
  EXPECT_FALSE(c.temperature);
}

TEST(GenerationConfig, values_out_of_range_are_named) {
  std::vector<std::string> warnings;
  for (const auto& [json, field] : {std::pair<const char*, const char*>{R"({"temperature":-1})", "temperature"},
                                    {R"({"temperature":NaN})", "temperature"},
                                    {R"({"temperature":"1"})", "temperature"},
                                    {R"({"top_p":0})", "top_p"},
                                    {R"({"top_p":1.5})", "top_p"},
                                    {R"({"top_k":-1})", "top_k"},
                                    {R"({"top_k":1.5})", "top_k"},
                                    {R"({"min_p":2})", "min_p"},
                                    {R"({"do_sample":1})", "do_sample"},
                                    {R"({"eos_token_id":-1})", "eos_token_id"},
                                    {R"({"eos_token_id":[2,"a"]})", "eos_token_id"},
                                    {R"({"eos_token_id":99999999999})", "eos_token_id"},
                                    {R"({"max_new_tokens":0})", "max_new_tokens"}}) {
    SCOPED_TRACE(json);
    expect_parts(error_of([&] { parse_generation_config(parse_json(json, ""), "generation_config.json", warnings); }),
                 {"generation_config.json", std::string("'") + field + "'", "expected", "found"});
  }
}

TEST(GenerationConfig, settings_that_are_not_applied_are_warnings) {
  std::vector<std::string> warnings;
  parse_generation_config(parse_json(R"({"no_repeat_ngram_size":0,"num_beams":1})", ""), "g", warnings);
  EXPECT_TRUE(warnings.empty());
  parse_generation_config(parse_json(R"({"no_repeat_ngram_size":2,"suppress_tokens":[1]})", ""), "g", warnings);
  ASSERT_EQ(warnings.size(), 2u);
  expect_parts(warnings[0], {"no_repeat_ngram_size"});
}

}  // namespace
}  // namespace nemotron
