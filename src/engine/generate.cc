// The loop of generation, and stop strings.

#include "engine/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/error.h"
#include "engine/thinking.h"
#include "text/output_parser.h"

namespace nemotron {
namespace {

constexpr index kPrefillChunk = 512;  // bounds the memory of a prompt; the result is the same for any

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

const char* finish_name(Finish f) {
  switch (f) {
    case Finish::stop_id:
    case Finish::stop_string:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::interrupted:
      break;
  }
  return "interrupted";
}

std::string StopStrings::put(const std::string& text) {
  if (found_) return {};
  held_ += text;
  // The one that is complete first, and the longest of those: the same however the text is cut.
  size_t first = 0, end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    first = at + stop.size() < end ? at : std::min(first, at);
    end = at + stop.size();
  }
  if (end != std::string::npos) {
    found_ = true;
    held_.resize(first);
    return std::exchange(held_, {});
  }
  // The longest end of the text that some stop string starts with stays behind.
  size_t keep = 0;
  for (const std::string& stop : stops_)
    for (size_t n = std::min(held_.size(), stop.size() - 1); n > keep; --n)
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
  std::string certain = held_.substr(0, held_.size() - keep);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopStrings::finish() { return found_ ? std::string() : std::exchange(held_, {}); }

namespace {

using OnToken = std::function<bool(const GeneratedToken&)>;

// One answer on its way: from the logits at each position to the next id, until it ends.
class Answer {
 public:
  Answer(const Tokenizer* tokenizer, const GenerateOptions& options, std::span<const int32_t> prompt, int sample)
      : options_(options),
        sampling_(options.sampling),
        sample_(sample),
        penalizer_(options.penalties, prompt),
        stops_(options.stop_strings),
        live_(options.max_tokens > 0) {
    sampling_.seed += uint64_t(sample);
    if (tokenizer) detokenizer_.emplace(*tokenizer);
    if (!options.thinking_budget) return;
    constexpr size_t kTail = 32;  // ids: more than the tag and the blanks that a template writes behind it
    const std::string tail = tokenizer->decode(prompt.last(std::min(prompt.size(), kTail)));
    budget_.emplace(*tokenizer, *options.thinking_budget, OutputParser::opens(tail));
  }

  bool live() const { return live_; }
  int32_t last() const { return out_.ids.back(); }

  // Takes the token that `position` others precede.
  void take(const std::vector<float>& logits, uint64_t position, const OnToken& on_token) {
    GeneratedToken token{.sample = sample_, .id = choose(logits, position)};
    if (options_.logprobs > 0) {
      token.logprob = log_probability(logits, token.id);
      token.top = top_probabilities(logits, options_.logprobs);
    }
    out_.ids.push_back(token.id);
    penalizer_.generated(token.id);
    const auto& stop_ids = options_.stop_ids;
    const bool stop = std::find(stop_ids.begin(), stop_ids.end(), token.id) != stop_ids.end();
    if (detokenizer_ && !stop) {
      const std::string text = detokenizer_->put(token.id);
      if (budget_) budget_->put(text);
      token.text = stops_.put(text);
    }
    out_.text += token.text;
    const bool go_on = on_token(token);
    if (stop)
      end(Finish::stop_id, on_token);
    else if (stops_.found())
      end(Finish::stop_string, on_token);
    else if (!go_on)
      end(Finish::interrupted, on_token);
    else if (index(out_.ids.size()) == options_.max_tokens)
      end(Finish::length, on_token);
  }

  Generated result() { return std::move(out_); }

 private:
  int32_t choose(const std::vector<float>& logits, uint64_t position) {
    if (budget_ && forced_.empty()) {
      forced_ = budget_->ending();
      std::reverse(forced_.begin(), forced_.end());
    }
    if (!forced_.empty()) {
      const int32_t id = forced_.back();
      forced_.pop_back();
      return id;
    }
    if (!penalizer_.active()) return sample(logits, sampling_, position);
    std::vector<float> changed = logits;
    penalizer_.apply(changed);
    return sample(changed, sampling_, position);
  }

  void end(Finish finish, const OnToken& on_token) {
    live_ = false;
    out_.finish = finish;
    if (!detokenizer_) return;
    std::string rest = stops_.put(detokenizer_->finish());
    rest += stops_.finish();
    if (finish == Finish::length && stops_.found()) out_.finish = Finish::stop_string;
    out_.text += rest;
    if (!rest.empty()) on_token({.sample = sample_, .text = rest});
  }

  const GenerateOptions& options_;
  Sampling sampling_;
  int sample_;
  Penalizer penalizer_;
  std::optional<Detokenizer> detokenizer_;
  std::optional<ThinkingBudget> budget_;
  std::vector<int32_t> forced_;  // ids that come before any further sampling, the next one last
  StopStrings stops_;
  bool live_;
  Generated out_;
};

void check(const Engine& engine, const Tokenizer* tokenizer, const State& state, const std::vector<int32_t>& prompt,
           const GenerateOptions& options) {
  check_sampling(options.sampling);
  check_penalties(options.penalties, engine.config().vocab_size);
  if (index(prompt.size()) <= state[0].position)
    throw Error({.what = "the prompt is empty", .expected = "at least one token that the state has not seen"});
  for (const std::string& stop : options.stop_strings)
    if (stop.empty() || !tokenizer)
      throw Error(
          {.what = stop.empty() ? "an empty stop string" : "a stop string needs a tokenizer", .where = "--stop"});
  if (options.thinking_budget && (!tokenizer || *options.thinking_budget < 0))
    throw Error(
        {.what = tokenizer ? "a negative budget" : "a budget for the thought needs a tokenizer", .where = "--think"});
}

}  // namespace

std::vector<Generated> generate_samples(Engine& engine, const Tokenizer* tokenizer, State& state,
                                        const std::vector<int32_t>& prompt, const GenerateOptions& options, int samples,
                                        const OnToken& on_token) {
  check(engine, tokenizer, state, prompt, options);
  const auto start = Clock::now();
  const index held = state[0].position;
  const std::vector<float> first =
      engine.next_logits({{prompt.begin() + held, prompt.end()}}, state, kPrefillChunk).front();
  const double prompt_seconds = seconds_since(start);

  const auto generating = Clock::now();
  std::vector<Answer> answers;
  for (int i = 0; i < samples; ++i) {
    if (i > 0) state.copy(0);
    answers.emplace_back(tokenizer, options, prompt, i);
  }
  std::vector<std::vector<float>> logits(answers.size(), first);
  for (bool any = true; any;) {
    any = false;
    std::vector<std::vector<int32_t>> next(answers.size());
    for (size_t i = 0; i < answers.size(); ++i) {
      Answer& answer = answers[i];
      if (!answer.live()) continue;
      answer.take(logits[i], uint64_t(state[int(i)].position), on_token);
      if (answer.live()) {
        next[i] = {answer.last()};
        any = true;
      }
    }
    if (any) logits = engine.next_logits(next, state, 1);
  }
  std::vector<Generated> out;
  for (Answer& answer : answers) {
    Generated& generated = out.emplace_back(answer.result());
    generated.prompt_tokens = index(prompt.size()) - held;
    generated.prompt_seconds = prompt_seconds;
    generated.seconds = seconds_since(generating);
  }
  return out;
}

Generated generate(Engine& engine, const Tokenizer* tokenizer, State& state, const std::vector<int32_t>& prompt,
                   const GenerateOptions& options, const OnToken& on_token) {
  return generate_samples(engine, tokenizer, state, prompt, options, 1, on_token).front();
}

}  // namespace nemotron
