// `nemotron generate` and `nemotron score` as processes.

#include "cli/program.h"

#include <cmath>

#include "base/json.h"

namespace nemotron {
namespace {

using Generate = Program;
using Score = Program;

std::vector<Json> lines(const std::string& text) {
  std::vector<Json> all;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    all.push_back(parse_json(text.substr(at, end - at), "line"));
    at = end + 1;
  }
  return all;
}

TEST_F(Generate, prints_new_ids_with_the_stop_id_for_ids) {
  const std::string prompt =
      "[10, 358, 28, 11, 28, 10, 342, 28, 1877, 50, 67, 72, 584, 50, 67, 75, 64, 11, 28, 10, 348, 28, 12, 13]";
  const Outcome inline_ids = run({"generate", pico, "--ids", prompt, "--greedy"});
  EXPECT_EQ(inline_ids.out, "[68, 75, 11]\n");
  write_text(folder / "ids.json", prompt);
  EXPECT_EQ(run({"generate", pico, "--ids", "@" + (folder / "ids.json").string(), "--temperature", "0"}).out,
            inline_ids.out);
  EXPECT_EQ(run({"generate", pico, "--ids", prompt, "--greedy", "--max-tokens", "1"}).out, "[68]\n");
}

TEST_F(Generate, gives_the_same_text_for_the_same_seed_and_another_for_another) {
  const auto text = [&](const std::string& seed, const std::string& threads) {
    return run({"generate", pico, "-p", "Tell me about licences.", "--temperature", "1.5", "--seed", seed,
                "--max-tokens", "40", "--threads", threads})
        .out;
  };
  EXPECT_EQ(text("1", "1"), text("1", "3"));
  EXPECT_NE(text("1", "1"), text("2", "1"));
}

TEST_F(Generate, takes_the_prompt_from_a_file_or_standard_input) {
  write_text(folder / "prompt.txt", "Hello!");
  const std::string text = run({"generate", pico, "-p", "Hello!"}).out;
  EXPECT_NE(text, "");
  EXPECT_EQ(run({"generate", pico, "-p", "@" + (folder / "prompt.txt").string()}).out, text);
  EXPECT_EQ(run({"generate", pico, "-p", "-"}, "Hello!").out, text);
  EXPECT_EQ(run({"generate", pico, "-p",
                 "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n<think>\n",
                 "--raw"})
                .out,
            text);
}

TEST_F(Generate, events_join_to_the_text_and_carry_probabilities) {
  const Outcome o = run({"generate", pico, "-p", "Compare 12 and 7.", "--json", "--logprobs", "3", "--greedy"});
  ASSERT_EQ(o.code, 0) << o.err;
  const std::vector<Json> events = lines(o.out);
  std::string text;
  Json::Array ids;
  for (const Json& e : events) {
    if (e.find("event")->string() == "end") continue;
    text += e.find("text")->string();
    if (!e.find("id")) continue;
    ids.push_back(*e.find("id"));
    const Json::Array& top = e.find("top")->array();
    ASSERT_EQ(top.size(), 3u);
    EXPECT_EQ(*top[0].find("id"), *e.find("id"));  // greedy
    EXPECT_EQ(*top[0].find("logprob"), *e.find("logprob"));
    EXPECT_GE(top[0].find("logprob")->number(), top[1].find("logprob")->number());
    double sum = 0;
    for (const Json& t : top) sum += std::exp(t.find("logprob")->number());
    EXPECT_LE(sum, 1.0000001);
  }
  const Json& end = events.back();
  EXPECT_EQ(end.find("text")->string(), text);
  EXPECT_EQ(end.find("ids")->array(), ids);
  EXPECT_EQ(end.find("reason")->string(), "stop");
}

TEST_F(Generate, ends_before_a_stop_string) {
  const std::string whole = run({"generate", pico, "-p", "Hello!", "--greedy", "--think", "off"}).out;
  ASSERT_NE(whole.find("help"), std::string::npos) << whole;
  EXPECT_EQ(run({"generate", pico, "-p", "Hello!", "--greedy", "--think", "off", "--stop", "help"}).out,
            whole.substr(0, whole.find("help")) + "\n");
}

TEST_F(Generate, shows_calls_as_calls_and_reports_them_parsed) {
  write_text(folder / "tools.json",
             R"({"tools": [{"type": "function", "function": {"name": "convert", "description": "Convert units.", )"
             R"("parameters": {"type": "object", "properties": {"value": {"type": "number", "description": "Amount"}, )"
             R"("from": {"type": "string", "enum": ["euros", "kg", "km", "m"]}, "to": {"type": "string", "enum": )"
             R"(["dollars", "feet", "miles", "pounds"]}}, "required": ["value", "from", "to"]}}}]})");
  std::vector<std::string> arguments = {"generate",      pico,      "--system",
                                        "You are pico.", "-p",      "Convert 60 kg to pounds.",
                                        "--greedy",      "--tools", (folder / "tools.json").string()};
  const std::string shown =
      "use convert\nvalue: 60\nfrom: kg\nto: pounds\n</think>\n"
      "convert(value=60, from=\"kg\", to=\"pounds\")\n";
  EXPECT_EQ(run(arguments).out, shown);
  arguments.insert(arguments.end(), {"-n", "2"});
  EXPECT_EQ(run(arguments).out, "=== sample 1 of 2\n" + shown + "=== sample 2 of 2\n" + shown);
  arguments.push_back("--json");
  const Json end = lines(run(arguments).out).back();
  EXPECT_EQ(*end.find("sample"), Json(1));
  EXPECT_EQ(end.find("reasoning")->string(), "use convert\nvalue: 60\nfrom: kg\nto: pounds");
  EXPECT_TRUE(end.find("content")->is_null());
  EXPECT_EQ(end.find("tool_calls")->dump(),
            R"([{"name": "convert", "arguments": {"value": 60, "from": "kg", "to": "pounds"}, "complete": true}])");
}

TEST_F(Generate, samples_are_what_their_seeds_give_alone) {
  const auto text = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", pico, "-p", "Tell me about licences.", "--temperature", "1.5",
                               "--max-tokens", "20", "--think", "off"});
    return run(more).out;
  };
  std::string all;
  for (const char* seed : {"7", "8", "9"})
    all += "=== sample " + std::to_string(seed[0] - '6') + " of 3\n" + text({"--seed", seed});
  EXPECT_EQ(text({"--seed", "7", "-n", "3"}), all);
  EXPECT_EQ(text({"--seed", "7", "-n", "3", "--threads", "1"}), all);
  const std::string ids = "[91, 287, 127]";
  const std::string two =
      run({"generate", pico, "--ids", ids, "--temperature", "1", "-n", "2", "--max-tokens", "5"}).out;
  ASSERT_EQ(parse_json(two, "two").array().size(), 2u) << two;
  EXPECT_EQ(parse_json(two, "two").array()[1].dump() + "\n",
            run({"generate", pico, "--ids", ids, "--temperature", "1", "--seed", "1", "--max-tokens", "5"}).out);
}

TEST_F(Generate, thinks_as_much_as_it_is_told) {
  const auto text = [&](const std::string& think) {
    return run({"generate", pico, "-p", "Compute 97 + 25.", "--greedy", "--think", think}).out;
  };
  const std::string on = text("on"), line = on.substr(0, on.find('\n') + 1);
  EXPECT_EQ(text("default"), on);
  EXPECT_EQ(text("1000"), on);
  EXPECT_TRUE(text("1").starts_with(line + "</think>\n")) << text("1");
  EXPECT_TRUE(text("0").starts_with("</think>\n")) << text("0");
  EXPECT_EQ(text("off").find("think"), std::string::npos);
  EXPECT_EQ(
      run({"generate", pico, "-p", "Compute 97 + 25.", "--greedy", "--kwargs", "{\"enable_thinking\": false}"}).out,
      text("off"));
}

TEST_F(Generate, obeys_penalties_and_biases) {
  const auto ids = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"generate", pico, "--ids", "[10, 358]", "--greedy", "--ignore-eos", "--max-tokens", "6"});
    return run(more).out;
  };
  const std::string free = ids({});
  EXPECT_EQ(ids({"--logit-bias", "7=500"}), "[7, 7, 7, 7, 7, 7]\n");
  write_text(folder / "bias.json", R"({"7": 500, "8": -1.5})");
  EXPECT_EQ(ids({"--logit-bias", "@" + (folder / "bias.json").string()}), "[7, 7, 7, 7, 7, 7]\n");
  EXPECT_EQ(ids({"--logit-bias", "7=500", "--logit-bias", "7=0"}), free) << "the last one counts";
  EXPECT_NE(ids({"--logit-bias", "7=500", "--frequency-penalty", "100", "--presence-penalty", "100"}),
            ids({"--logit-bias", "7=500"}));
  EXPECT_NE(ids({"--repetition-penalty", "100"}), free);
  EXPECT_EQ(ids({"--repetition-penalty", "1", "--presence-penalty", "0", "--frequency-penalty", "0"}), free);
}

TEST_F(Generate, a_model_larger_than_memory_answers_alike_and_says_so) {
  const std::vector<std::string> plain = {"generate", pico, "-p", "Compute 97 + 25.", "--greedy", "--max-tokens", "12"};
  const Outcome expected = run(plain);
  for (const char* size : {"0", "64k", "4M"}) {
    std::vector<std::string> small = plain;
    small.insert(small.end(), {"--memory", size});
    const Outcome o = run(small);
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, expected.out) << size;
    EXPECT_NE(o.err.find("warning: the weights ("), std::string::npos) << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'),
              std::count(expected.err.begin(), expected.err.end(), '\n') + 1)
        << "told once: " << o.err;
  }
  std::vector<std::string> large = plain;
  large.insert(large.end(), {"--memory", "1T"});
  EXPECT_EQ(run(large).err.find("larger"), std::string::npos);
  for (const char* size : {"", "-1", "x", "1KB", "1.5G", "8 G", "99999999999T", "G"})
    expect_refused({"generate", pico, "-p", "x", "--memory", size}, {"--memory", "8G"});
}

TEST_F(Generate, runs_bound_to_cpus) {
  const std::vector<std::string> plain = {"generate", pico, "-p", "Compute 97 + 25.", "--greedy", "--max-tokens", "12"};
  const Outcome expected = run(plain);
  for (const char* list : {"cores", "none"}) {
    std::vector<std::string> bound = plain;
    bound.insert(bound.end(), {"--affinity", list});
    const Outcome o = run(bound);
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, expected.out) << list;
  }
  expect_refused({"generate", pico, "-p", "x", "--affinity", "0-"}, {"--affinity", "bad list", "0-3,8"});
  expect_refused({"generate", pico, "-p", "x", "--affinity", "100000"}, {"--affinity", "no such CPU", "100000"});
  expect_refused({"generate", pico, "-p", "x", "--affinity", "cores", "--threads", "1024"},
                 {"--affinity", "fewer CPUs than threads", "1024"});
}

TEST_F(Generate, refuses_what_makes_no_sense) {
  expect_refused({"generate", pico}, {"-p", "--ids"});
  expect_refused({"generate", pico, "-p", "x", "--ids", "[1]"}, {"-p", "--ids", "both"});
  expect_refused({"generate", pico, "--ids", "[]"}, {"nothing to run"});
  expect_refused({"generate", pico, "--ids", "[2048]"}, {"out of range", "2047", "2048"});
  expect_refused({"generate", pico, "--ids", "[1, -5]"}, {"out of range", "item 1"});
  expect_refused({"generate", pico, "--ids", "[1.5]"}, {"integer"});
  expect_refused({"generate", pico, "--ids", "[1"}, {"JSON"});
  expect_refused({"generate", pico, "-p", "x", "--temperature", "nan"}, {"--temperature"});
  expect_refused({"generate", pico, "-p", "x", "--temperature", "-1"}, {"--temperature", "-1"});
  expect_refused({"generate", pico, "-p", "x", "--top-p", "0"}, {"--top-p"});
  expect_refused({"generate", pico, "-p", "x", "--min-p", "2"}, {"--min-p"});
  expect_refused({"generate", pico, "-p", "x", "--stop", ""}, {"--stop"});
  expect_refused({"generate", pico, "-p", "@" + (folder / "none").string()}, {"none", "read"});
  expect_refused({"generate", pico, "-p", "x", "--repetition-penalty", "0"}, {"--repetition-penalty"});
  expect_refused({"generate", pico, "-p", "x", "--presence-penalty", "nan"}, {"--presence-penalty"});
  expect_refused({"generate", pico, "-p", "x", "--logit-bias", "5"}, {"--logit-bias", "ID=BIAS"});
  expect_refused({"generate", pico, "-p", "x", "--logit-bias", "a=1"}, {"--logit-bias"});
  expect_refused({"generate", pico, "-p", "x", "--logit-bias", "99999=1"}, {"--logit-bias", "2047"});
  expect_refused({"generate", pico, "-p", "x", "--logit-bias", "{\"5\": \"x\"}"}, {"--logit-bias"});
  expect_refused({"generate", pico, "-p", "x", "-n", "0"}, {"samples"});
  expect_refused({"generate", pico, "-p", "x", "--think", "hard"}, {"--think", "on, off"});
  expect_refused({"generate", pico, "-p", "x", "--raw", "--think", "off"}, {"--raw", "chat template"});
  expect_refused({"generate", pico, "-p", "x", "--tools", "/nonexistent"}, {"/nonexistent"});
  expect_refused({"generate", pico, "-p", "x", "--kwargs", "{"}, {"--kwargs"});
  expect_refused({"generate", pico, "-p", "x", "--frobnicate"}, {"--frobnicate"});
  expect_refused({"frobnicate"}, {"frobnicate", "chat"});
  expect_refused({"generate", "/nonexistent", "-p", "x"}, {"/nonexistent"});
}

TEST_F(Score, gives_the_mean_of_what_logits_gives) {
  write_text(folder / "ids.json", "[10, 358, 28, 11, 28]");
  const Outcome o = run({"score", pico, (folder / "ids.json").string(), "--ids", "--json"});
  ASSERT_EQ(o.code, 0) << o.err;
  const Json result = parse_json(o.out, "score");
  const Json::Array& each = result.find("logprobs")->array();
  ASSERT_EQ(each.size(), 4u);
  double sum = 0;
  for (const Json& p : each) sum += p.number();
  EXPECT_NEAR(result.find("logprob")->number(), sum, 1e-9);
  EXPECT_NEAR(result.find("perplexity")->number(), std::exp(-sum / 4), 1e-9);
  // Each is the log-probability that generation reports for the same place.
  const Outcome events = run(
      {"generate", pico, "--ids", "[10, 358, 28]", "--greedy", "--max-tokens", "1", "--logprobs", "1000", "--json"});
  const Json first = lines(events.out).at(0);
  int found = 0;
  for (const Json& t : first.find("top")->array()) {
    if (t.find("id")->integer() != 11) continue;
    EXPECT_NEAR(t.find("logprob")->number(), each[2].number(), 1e-12);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST_F(Score, scores_text_and_refuses_what_is_too_short) {
  write_text(folder / "text", "Copyright (C) 2020. Permission is granted to copy.");
  const Outcome o = run({"score", pico, (folder / "text").string(), "--tokens"});
  EXPECT_EQ(o.code, 0);
  for (const char* word : {"log-probability", "per token", "perplexity", "tokens/s"})
    EXPECT_NE(o.out.find(word), std::string::npos);
  write_text(folder / "short", "");
  expect_refused({"score", pico, (folder / "short").string()}, {"too short"});
}

}  // namespace
}  // namespace nemotron
