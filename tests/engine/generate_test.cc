// Generation: stop strings for any split of the text, what ends an answer, and what the state then holds.

#include "engine/generate.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <random>

#include "base/error.h"

namespace nemotron {
namespace {

// ---- stop strings

struct Stopped {
  std::string text;
  bool found;
  friend bool operator==(const Stopped&, const Stopped&) = default;
};

void PrintTo(const Stopped& s, std::ostream* out) { *out << '"' << s.text << "\"" << (s.found ? " stopped" : ""); }

// The text handed out when it comes in these pieces.
Stopped in_pieces(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings filter(stops);
  Stopped s{"", false};
  for (const std::string& piece : pieces) s.text += filter.put(piece);
  s.text += filter.finish();
  s.found = filter.found();
  return s;
}

// By definition: the text before the stop string that is complete first, the longest of those that end there.
Stopped by_definition(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> begin;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop)) begin = std::min(begin.value_or(end), end - stop.size());
    if (begin) return {text.substr(0, *begin), true};
  }
  return {text, false};
}

TEST(stop_strings, end_the_text_at_the_same_place_for_every_split) {
  const struct {
    std::vector<std::string> stops;
    std::string text;
  } cases[] = {{{"stop"}, "do not stop here"},
               {{"stop"}, "sto stostop"},
               {{"aab"}, "aaaab"},
               {{"abcd", "bc"}, "xabcd"},
               {{"bc", "abcd"}, "abc"},
               {{"abcde", "cd"}, "abcdx"},
               {{"x", "xy"}, "axy"},
               {{"ab", "b"}, "cab"},
               {{"aa"}, "baaa"},
               {{"end"}, "en"},
               {{}, "anything"},
               {{"\n\n"}, "a\nb\n\nc"},
               {{"aba", "bab"}, "xababab"},
               {{"abab"}, "abaabab"},
               {{"q"}, ""}};
  for (const auto& [stops, text] : cases) {
    const Stopped want = by_definition(stops, text);
    ASSERT_LE(text.size(), 16u);
    for (uint32_t cuts = 0; cuts < (1u << (text.empty() ? 0 : text.size() - 1)); ++cuts) {
      std::vector<std::string> pieces(1);
      for (size_t i = 0; i < text.size(); ++i) {
        pieces.back() += text[i];
        if (cuts >> i & 1) pieces.emplace_back();
      }
      ASSERT_EQ(in_pieces(stops, pieces), want) << ::testing::PrintToString(pieces);
    }
  }
}

TEST(stop_strings, agree_with_their_definition_on_random_texts) {
  std::mt19937 rng(1);
  for (int round = 0; round < 3000; ++round) {
    const auto word = [&](size_t most) {
      std::string w(1 + rng() % most, 'a');
      for (char& c : w) c = char('a' + rng() % 2);
      return w;
    };
    std::vector<std::string> stops, pieces;
    for (size_t i = 0; i < 1 + rng() % 3; ++i) stops.push_back(word(6));
    std::string text;
    for (size_t i = 0; i < 6; ++i) text += pieces.emplace_back(word(4));
    ASSERT_EQ(in_pieces(stops, pieces), by_definition(stops, text)) << text << " " << ::testing::PrintToString(stops);
  }
}

TEST(stop_strings, hold_back_only_what_may_become_one) {
  StopStrings filter({"stop", "</end>"});
  EXPECT_EQ(filter.put("a <"), "a ");
  EXPECT_EQ(filter.put("/"), "");
  EXPECT_EQ(filter.put("x"), "</x");
  EXPECT_EQ(filter.put("ssto"), "s");
  EXPECT_EQ(filter.put("ssto"), "stos") << "the second start takes the place of the first";
  EXPECT_EQ(filter.finish(), "sto");
  EXPECT_FALSE(filter.found());
  EXPECT_EQ(filter.finish(), "");
  StopStrings done({"x"});
  EXPECT_EQ(done.put("axb"), "a");
  EXPECT_TRUE(done.found());
  EXPECT_EQ(done.put("more"), "");
  EXPECT_EQ(done.finish(), "");
}

// ---- the loop

const std::string kPico = NEMOTRON_SOURCE_DIR "/models/pico";

class Generate : public ::testing::Test {
 protected:
  static EngineOptions options() {
    EngineOptions o;
    o.threads = 2;
    return o;
  }
  Generated run(const std::string& prompt, const GenerateOptions& o, index most_calls = 1 << 30) {
    return go_on(fresh(), tokenizer.encode(prompt), o, most_calls);
  }
  State fresh() {
    State state = make_state(engine.config(), engine.state_format());
    state.add();
    return state;
  }
  Generated go_on(State state, const std::vector<int32_t>& prompt, const GenerateOptions& o,
                  index most_calls = 1 << 30) {
    shown.clear(), probabilities.clear(), calls = 0;
    Generated out = generate(engine, &tokenizer, state, prompt, o, [&](const GeneratedToken& t) {
      shown += t.text;
      probabilities.push_back(t);
      return ++calls < most_calls;
    });
    EXPECT_EQ(shown, out.text) << "what was shown is the text";
    position = state[0].position;
    return out;
  }

  Engine engine{kPico, options()};
  Tokenizer tokenizer{kPico};
  std::string shown;
  std::vector<GeneratedToken> probabilities;
  index calls = 0, position = 0;
};

const std::string kPrompt = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think></think>";

GenerateOptions greedy(index max_tokens) {
  GenerateOptions o;
  o.sampling.temperature = 0;
  o.max_tokens = max_tokens;
  return o;
}

TEST_F(Generate, ends_at_the_limit_and_the_state_holds_all_but_the_last_token) {
  const Generated out = run(kPrompt, greedy(5));
  EXPECT_EQ(out.finish, Finish::length);
  EXPECT_STREQ(finish_name(out.finish), "length");
  EXPECT_EQ(out.ids.size(), 5u);
  EXPECT_EQ(out.text, tokenizer.decode(out.ids));
  EXPECT_EQ(out.prompt_tokens, index(tokenizer.encode(kPrompt).size()));
  EXPECT_EQ(position, out.prompt_tokens + 4);
  const Generated none = run(kPrompt, greedy(0));
  EXPECT_TRUE(none.ids.empty() && none.text.empty());
  EXPECT_EQ(none.finish, Finish::length);
}

TEST_F(Generate, ends_at_a_stop_id_whose_text_is_not_shown) {
  const Generated free = run(kPrompt, greedy(6));
  GenerateOptions o = greedy(6);
  o.stop_ids = {free.ids[3], 1000000};
  const Generated out = run(kPrompt, o);
  const size_t first = size_t(std::find(free.ids.begin(), free.ids.end(), free.ids[3]) - free.ids.begin());
  EXPECT_EQ(out.finish, Finish::stop_id);
  EXPECT_STREQ(finish_name(out.finish), "stop");
  EXPECT_EQ(out.ids, std::vector<int32_t>(free.ids.begin(), free.ids.begin() + index(first) + 1));
  EXPECT_EQ(out.text, tokenizer.decode({out.ids.data(), first}));
}

TEST_F(Generate, ends_before_any_stop_string_wherever_it_lies_among_tokens) {
  const Generated free = run(kPrompt, greedy(12));
  ASSERT_GT(free.text.size(), 12u);
  for (size_t at = 0; at + 3 <= free.text.size(); at += 2) {
    for (const size_t length : {1, 3}) {
      const std::string stop = free.text.substr(at, length);
      GenerateOptions o = greedy(12);
      o.stop_strings = {stop, "never"};
      const Generated out = run(kPrompt, o);
      EXPECT_EQ(out.finish, Finish::stop_string) << stop;
      EXPECT_EQ(out.text, free.text.substr(0, free.text.find(stop))) << stop;
      EXPECT_EQ(out.ids, std::vector<int32_t>(free.ids.begin(), free.ids.begin() + index(out.ids.size())));
    }
  }
  GenerateOptions o = greedy(12);
  o.stop_strings = {free.text + "more"};  // held back to the end, then given
  const Generated out = run(kPrompt, o);
  EXPECT_EQ(out.finish, Finish::length);
  EXPECT_EQ(out.text, free.text);
  EXPECT_EQ(probabilities.back().id, -1) << "held text comes after the last token";
}

TEST_F(Generate, ends_when_the_caller_says_so) {
  const Generated out = run(kPrompt, greedy(50), 3);
  EXPECT_EQ(out.finish, Finish::interrupted);
  EXPECT_STREQ(finish_name(out.finish), "interrupted");
  EXPECT_EQ(out.ids.size(), 3u);
}

TEST_F(Generate, gives_the_same_tokens_in_one_call_or_in_two) {
  GenerateOptions o;
  o.sampling = {.temperature = 1.5, .top_k = 50, .top_p = 0.99, .seed = 3};
  o.max_tokens = 30;
  const std::vector<int32_t> prompt = tokenizer.encode(kPrompt);
  const Generated whole = go_on(fresh(), prompt, o);
  State state = fresh();
  o.max_tokens = 11;
  std::vector<int32_t> ids =
      generate(engine, &tokenizer, state, prompt, o, [](const GeneratedToken&) { return true; }).ids;
  o.max_tokens = 19;
  std::vector<int32_t> so_far = prompt;
  so_far.insert(so_far.end(), ids.begin(), ids.end());
  const Generated rest = generate(engine, nullptr, state, so_far, o, [](const GeneratedToken&) { return true; });
  ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
  EXPECT_EQ(ids, whole.ids);
  EXPECT_EQ(rest.text, "") << "no tokenizer, no text";
  o.sampling.seed = 4;
  o.max_tokens = 30;
  EXPECT_NE(go_on(fresh(), prompt, o).ids, whole.ids);
}

TEST_F(Generate, gives_each_sample_what_its_seed_alone_gives) {
  GenerateOptions o;
  o.sampling = {.temperature = 1.5, .seed = 5};
  o.penalties.repetition = 1.1, o.penalties.frequency = 0.2;
  o.stop_ids = {tokenizer.id_of("<|im_end|>").value()};
  o.thinking_budget = 4;
  o.max_tokens = 24;
  const std::vector<int32_t> prompt =
      tokenizer.encode("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n");
  std::vector<std::string> texts(5);
  State state = fresh();
  const std::vector<Generated> samples =
      generate_samples(engine, &tokenizer, state, prompt, o, 5, [&](const GeneratedToken& t) {
        texts[size_t(t.sample)] += t.text;
        return true;
      });
  ASSERT_EQ(samples.size(), 5u);
  for (size_t i = 0; i < samples.size(); ++i) {
    GenerateOptions alone = o;
    alone.sampling.seed = o.sampling.seed + i;
    const Generated one = go_on(fresh(), prompt, alone);
    EXPECT_EQ(samples[i].ids, one.ids);
    EXPECT_EQ(samples[i].text, one.text);
    EXPECT_EQ(samples[i].text, texts[i]);
    EXPECT_EQ(samples[i].finish, one.finish);
    EXPECT_EQ(state[int(i)].position, index(prompt.size() + one.ids.size()) - 1);
  }
  EXPECT_NE(samples[0].ids, samples[1].ids);
}

TEST_F(Generate, one_sample_may_end_while_the_others_go_on) {
  GenerateOptions o;
  o.sampling = {.temperature = 2, .seed = 1};
  o.max_tokens = 10;
  State state = fresh();
  const std::vector<Generated> samples = generate_samples(engine, &tokenizer, state, tokenizer.encode(kPrompt), o, 3,
                                                          [&](const GeneratedToken& t) { return t.sample != 1; });
  EXPECT_EQ(samples[0].ids.size(), 10u);
  EXPECT_EQ(samples[1].ids.size(), 1u);
  EXPECT_EQ(samples[1].finish, Finish::interrupted);
  EXPECT_EQ(samples[2].ids.size(), 10u);
}

TEST_F(Generate, penalties_and_biases_change_what_greedy_takes) {
  const Generated free = run(kPrompt, greedy(12));
  GenerateOptions o = greedy(12);
  o.penalties.logit_bias = {{free.ids[0], -1000}};
  EXPECT_NE(run(kPrompt, o).ids[0], free.ids[0]);
  o.penalties.logit_bias = {{7, 1000}};
  EXPECT_EQ(run(kPrompt, o).ids, std::vector<int32_t>(12, 7));
  o.penalties.frequency = 100;  // 7 loses 100 with each use
  const Generated worn = run(kPrompt, o);
  EXPECT_EQ(std::count(worn.ids.begin(), worn.ids.begin() + 9, 7), 9);
  EXPECT_NE(worn.ids[11], 7);
  o = greedy(12);
  o.logprobs = 1;
  o.penalties.logit_bias = {{7, 1000}};
  run(kPrompt, o);
  EXPECT_LT(probabilities[0].logprob, -1) << "what the model itself thinks of it";
}

TEST_F(Generate, a_spent_budget_ends_the_thought_and_the_answer_follows) {
  const std::string prompt = "<|im_start|>user\nCompute 97 + 25.<|im_end|>\n<|im_start|>assistant\n<think>\n";
  const Generated free = run(prompt, greedy(60));
  ASSERT_NE(free.text.find("\n</think>"), std::string::npos);
  const size_t thought = tokenizer.encode(free.text.substr(0, free.text.find("</think>"))).size();
  GenerateOptions o = greedy(60);
  o.thinking_budget = index(thought);
  EXPECT_EQ(run(prompt, o).ids, free.ids) << "a budget that is not reached changes nothing";
  o.thinking_budget = 0;
  EXPECT_TRUE(run(prompt, o).text.starts_with("</think>"));
  o.thinking_budget = 1;
  const Generated brief = run(prompt, o);
  const size_t newline = free.text.find('\n');
  EXPECT_EQ(brief.text.substr(0, newline + 9), free.text.substr(0, newline + 1) + "</think>");
  EXPECT_GT(brief.ids.size(), 0u);
}

TEST_F(Generate, reports_the_most_likely_tokens) {
  GenerateOptions o = greedy(4);
  o.logprobs = 3;
  const Generated out = run(kPrompt, o);
  for (const GeneratedToken& t : probabilities) {
    if (t.id < 0) continue;
    ASSERT_EQ(t.top.size(), 3u);
    EXPECT_EQ(t.top[0].id, t.id) << "greedy";
    EXPECT_EQ(t.top[0].logprob, t.logprob);
    EXPECT_LE(t.top[1].logprob, t.top[0].logprob);
    EXPECT_LE(t.logprob, 0);
  }
}

TEST_F(Generate, refuses_what_makes_no_sense) {
  State state = fresh();
  const auto on_token = [](const GeneratedToken&) { return true; };
  EXPECT_THROW(generate(engine, &tokenizer, state, {}, greedy(1), on_token), Error);
  EXPECT_THROW(generate(engine, &tokenizer, state, {1 << 30}, greedy(1), on_token), Error);
  GenerateOptions o = greedy(1);
  o.stop_strings = {""};
  EXPECT_THROW(generate(engine, &tokenizer, state, {1}, o, on_token), Error);
  o.stop_strings = {"x"};
  EXPECT_THROW(generate(engine, nullptr, state, {1}, o, on_token), Error);
  o = greedy(1);
  o.thinking_budget = 5;
  EXPECT_THROW(generate(engine, nullptr, state, {1}, o, on_token), Error);
  o.thinking_budget = -1;
  EXPECT_THROW(generate(engine, &tokenizer, state, {1}, o, on_token), Error);
  o = greedy(1);
  o.penalties.logit_bias = {{1 << 30, 1}};
  EXPECT_THROW(generate(engine, &tokenizer, state, {1}, o, on_token), Error);
  o = greedy(1);
  o.sampling.top_p = 2;
  EXPECT_THROW(generate(engine, &tokenizer, state, {1}, o, on_token), Error);
  EXPECT_EQ(state[0].position, 0) << "nothing was fed";
}

}  // namespace
}  // namespace nemotron
