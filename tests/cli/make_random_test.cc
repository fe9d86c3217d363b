// `nemotron make-random` as a user runs it: a folder that answers, the published sizes, a tokenizer that round-trips,
// and refusals.

#include <gtest/gtest.h>

#include "cli/program.h"
#include "text/tokenizer.h"

namespace nemotron {
namespace {

class MakeRandom : public Program {
 protected:
  std::string path(const char* name) const { return (folder / name).string(); }
};

TEST_F(MakeRandom, makes_a_folder_that_answers) {
  const Outcome made = run({"make-random", pico, path("made"), "--format", "nvfp4", "--layers", "0-4", "--seed", "3"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.err, "");
  EXPECT_NE(made.out.find("parameters in nvfp4"), std::string::npos) << made.out;
  const Outcome look = run({"inspect", path("made")});
  for (const char* part : {"MEM*E\n", "NVFP4", "anomalies: none"})
    EXPECT_NE(look.out.find(part), std::string::npos) << part << " is not in:\n" << look.out;
  const Outcome answer =
      run({"generate", path("made"), "-p", "Hello, what is 2 + 2?", "--max-tokens", "20", "--greedy", "--json"});
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_NE(answer.out.find("\"tokens\": 20"), std::string::npos) << answer.out;
  const Outcome chat = run({"chat", path("made"), "--max-tokens", "5"}, "Good day\n");
  EXPECT_EQ(chat.code, 0) << chat.err;
}

TEST_F(MakeRandom, its_tokenizer_takes_any_text_and_knows_its_words) {
  for (const char* size : {"274", "1255", "1256", "2048", "20000"}) {
    write_text(folder / "config.json", R"({"hybrid_override_pattern": "M", "hidden_size": 32, "mamba_num_heads": 8,
      "mamba_head_dim": 8, "ssm_state_size": 16, "vocab_size": )" +
                                           std::string(size) + "}");
    const std::string out = path(size);
    ASSERT_EQ(run({"make-random", path("config.json"), out}).code, 0);
    const Tokenizer t(out);
    const int32_t count = std::stoi(size);
    EXPECT_EQ(t.vocabulary_size(), count);
    for (int32_t id = 0; id < count; ++id) ASSERT_TRUE(t.has(id)) << id;
    EXPECT_EQ(t.id_of("<|im_end|>"), 11);
    EXPECT_TRUE(t.is_special(11));
    EXPECT_EQ(t.id_of("</think>"), 13);
    EXPECT_FALSE(t.is_special(13));
    const int32_t first_byte = count >= 1256 ? 1000 : 18;
    EXPECT_EQ(t.encode("\n"), std::vector<int32_t>{first_byte + '\n'});
    const std::string text = "Grüße, <think>a\tb</think> 語 ba zuzu" + std::string("\0\x7F", 2);
    EXPECT_EQ(t.decode(t.encode(text)), text);
    for (const int32_t id : {first_byte + 256, (first_byte + 256 + count) / 2, count - 1}) {
      if (id >= count || id < first_byte + 256) continue;
      EXPECT_EQ(t.encode(t.bytes(id)), std::vector<int32_t>{id}) << t.bytes(id);
    }
  }
}

TEST_F(MakeRandom, takes_the_format_of_a_release_from_its_name) {
  const Outcome made =
      run({"make-random", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4", path("made"), "--headers-only"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("24,147 tensors / 19,339,781,632 bytes"), std::string::npos) << made.out;
  EXPECT_NE(made.out.find("in nvfp4, headers only, after Nano"), std::string::npos) << made.out;
  expect_refused({"make-random", "nemotron-3-super-NVFP4", path("other"), "--format", "fp8", "--headers-only"},
                 {"another format", "nvfp4", "fp8"});
}

TEST_F(MakeRandom, nvfp4_even_is_understood_by_inspect_and_plan) {
  const Outcome made = run({"make-random", pico, path("made"), "--format", "nvfp4-even", "--layers", "0-4"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("parameters in nvfp4-even"), std::string::npos) << made.out;
  const std::string record = read_text(folder / "made/hf_quant_config.json");
  for (const char* part :
       {"MIXED_PRECISION", "lm_head", "backbone.layers.3.mixer.q_proj", "\"kv_cache_quant_algo\": null"})
    EXPECT_NE(record.find(part), std::string::npos) << part << " is not in:\n" << record;
  const Outcome look = run({"inspect", path("made")});
  for (const char* part : {"NVFP4", "FP8", "anomalies: none"})
    EXPECT_NE(look.out.find(part), std::string::npos) << part << " is not in:\n" << look.out;
  const Outcome folder_plan = run({"plan", path("made")});
  EXPECT_EQ(folder_plan.code, 0) << folder_plan.err;
  const Outcome answer = run({"generate", path("made"), "-p", "Hello", "--max-tokens", "5", "--greedy"});
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_EQ(answer.err.find("warning"), std::string::npos) << answer.err;
}

TEST_F(MakeRandom, copies_a_tokenizer_that_fits) {
  ASSERT_EQ(run({"make-random", pico, path("made"), "--layers", "0-0", "--tokenizer", pico}).code, 0);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"})
    EXPECT_EQ(read_text(folder / "made" / file), read_text(pico + "/" + file)) << file;
  write_text(folder / "config.json", R"({"hybrid_override_pattern": "M", "vocab_size": 1000})");
  expect_refused({"make-random", path("config.json"), path("other"), "--tokenizer", pico},
                 {"tokenizer.json", "1000", "2047"});
  expect_refused({"make-random", pico, path("other"), "--tokenizer", path("made") + "/absent"}, {"no tokenizer"});
}

TEST_F(MakeRandom, refuses_in_one_line) {
  expect_refused({"make-random", "nanometer", path("x")},
                 {"no such model", "nanometer", "Nano, Super, Ultra, Lightning"});
  for (const char* layers : {"5-2", "a-b", "1-", "-3", "1-2-3", "", " ", "99999999999999999999-3", "1-2x"})
    expect_refused({"make-random", pico, path("x"), "--layers=" + std::string(layers)}, {"layers"});
  expect_refused({"make-random", pico, path("x"), "--layers", "0-10"}, {"no such layers", "<= 9", "0-10"});
  expect_refused({"make-random", pico, path("x"), "--format", "int4"}, {"int4"});
  expect_refused({"make-random", pico, path("x"), "--seed", "-1"}, {"-1"});
  expect_refused({"make-random", pico, pico}, {"exists already", "nothing is overwritten"});
  write_text(folder / "config.json", "{\"hybrid_override_pattern\": [[[");
  expect_refused({"make-random", path("config.json"), path("x")}, {"config.json"});
  write_text(folder / "config.json", R"({"hybrid_override_pattern": "M", "mamba_num_heads": 1e99})");
  expect_refused({"make-random", folder.path().string(), path("x")}, {"mamba_num_heads"});
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

}  // namespace
}  // namespace nemotron
