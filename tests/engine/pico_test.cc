// The small trained checkpoint answers greedily, id for id, what the float64 reference answers.

#include <gtest/gtest.h>

#include "data.h"
#include "engine/generate.h"

namespace nemotron {
namespace {

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.array()) ids.push_back(int32_t(id.integer()));
  return ids;
}

TEST(pico, answers_every_case_that_is_not_too_close_to_call) {
  Engine engine(NEMOTRON_SOURCE_DIR "/models/pico", {.threads = 2});
  const Tokenizer tokenizer(NEMOTRON_SOURCE_DIR "/models/pico");
  int answered = 0;
  const std::string file = repository_file("tests/data/pico_cases.jsonl");
  for (size_t at = 0; at < file.size();) {
    const size_t end = file.find('\n', at);
    const Json c = parse_json(std::string_view(file).substr(at, end - at), "pico_cases.jsonl");
    at = end + 1;
    if (const Json* fragile = c.find("fragile"); fragile && fragile->boolean()) continue;
    State state = make_state(engine.config(), engine.state_format());
    state.add();
    const std::vector<int32_t> expected = ids_of(member(c, "greedy_ids"));
    GenerateOptions options{.sampling = {.temperature = 0}, .max_tokens = index(expected.size()), .stop_ids = {2, 11}};
    std::string pieces;
    const Generated out =
        generate(engine, &tokenizer, state, ids_of(member(c, "prompt_ids")), options, [&](const GeneratedToken& t) {
          pieces += t.text;
          return true;
        });
    EXPECT_EQ(out.ids, expected) << member(c, "name").string();
    EXPECT_EQ(pieces, out.text);
    // The text is that of the ids without the stop id at the end.
    std::vector<int32_t> shown = out.ids;
    if (out.finish == Finish::stop_id) shown.pop_back();
    EXPECT_EQ(out.text, tokenizer.decode(shown));
    EXPECT_EQ(tokenizer.encode(member(c, "prompt_text").string()), ids_of(member(c, "prompt_ids")));
    ++answered;
  }
  EXPECT_EQ(answered, 59);
}

}  // namespace
}  // namespace nemotron
