// The loop of generation, and stop strings.

#include "engine/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/error.h"

namespace nemotron {
namespace {

constexpr index kPrefillChunk = 512;  // bounds the memory of a prompt; the result is the same for any

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

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

Generated generate(Engine& engine, const Tokenizer* tokenizer, State& state, const std::vector<int32_t>& prompt,
                   const GenerateOptions& options, const std::function<bool(const GeneratedToken&)>& on_token) {
  check_sampling(options.sampling);
  if (prompt.empty()) throw Error({.what = "the prompt is empty", .expected = "at least one token"});
  for (const std::string& stop : options.stop_strings)
    if (stop.empty() || !tokenizer)
      throw Error(
          {.what = stop.empty() ? "an empty stop string" : "a stop string needs a tokenizer", .where = "--stop"});

  using Clock = std::chrono::steady_clock;
  Generated out{.prompt_tokens = index(prompt.size())};
  const auto start = Clock::now();
  std::vector<float> logits;
  const auto feed = [&](const std::vector<int32_t>& ids) {
    engine.feed({ids}, state, kPrefillChunk, [&](int, index offset, Rows hidden) {
      if (offset + hidden.rows == index(ids.size()))
        logits = engine.logits(hidden.row_range(hidden.rows - 1, hidden.rows));
    });
  };
  feed(prompt);
  out.prompt_seconds = seconds_since(start);

  const auto generating = Clock::now();
  std::optional<Detokenizer> detokenizer;
  if (tokenizer) detokenizer.emplace(*tokenizer);
  StopStrings stops(options.stop_strings);
  for (index n = 0; n < options.max_tokens; ++n) {
    if (n > 0) feed({out.ids.back()});
    GeneratedToken token{.id = sample(logits, options.sampling, uint64_t(state[0].position))};
    if (options.logprobs > 0) {
      token.logprob = log_probability(logits, token.id);
      token.top = top_probabilities(logits, options.logprobs);
    }
    out.ids.push_back(token.id);
    const bool stop = std::find(options.stop_ids.begin(), options.stop_ids.end(), token.id) != options.stop_ids.end();
    if (detokenizer && !stop) token.text = stops.put(detokenizer->put(token.id));
    out.text += token.text;
    const bool go_on = on_token(token);
    if (stop)
      out.finish = Finish::stop_id;
    else if (stops.found())
      out.finish = Finish::stop_string;
    else if (!go_on)
      out.finish = Finish::interrupted;
    else
      continue;
    break;
  }
  if (detokenizer) {
    std::string rest = stops.put(detokenizer->finish());
    rest += stops.finish();
    if (out.finish == Finish::length && stops.found()) out.finish = Finish::stop_string;
    out.text += rest;
    if (!rest.empty()) on_token({.id = -1, .text = rest});
  }
  out.seconds = seconds_since(generating);
  return out;
}

}  // namespace nemotron
