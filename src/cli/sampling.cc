// Options of generation, and who decides what is not given.

#include "cli/sampling.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "cli/options.h"

namespace nemotron::cli {
namespace {

constexpr index kDefaultMaxTokens = 1024;

[[noreturn]] void refuse_bias(const std::string& where, const std::string& found) {
  throw Error({.what = "no bias of a token",
               .where = where,
               .expected = "ID=BIAS, or an object of ids and numbers",
               .found = printable(found, 60)});
}

template <class T>
T parse_number(const std::string& text, const std::string& where, const std::string& whole) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse_bias(where, whole);
  return value;
}

// One bias a token; of several the last counts.
std::vector<std::pair<int32_t, double>> parse_biases(const std::vector<std::string>& given) {
  std::map<int32_t, double> biases;
  for (const std::string& text : given) {
    if (!text.starts_with('{') && !text.starts_with('@')) {
      const size_t equals = text.find('=');
      if (equals == text.npos) refuse_bias("--logit-bias", text);
      biases[parse_number<int32_t>(text.substr(0, equals), "--logit-bias", text)] =
          parse_number<double>(text.substr(equals + 1), "--logit-bias", text);
      continue;
    }
    const std::string where = text[0] == '@' ? text.substr(1) : "--logit-bias";
    const Json json = parse_json(text[0] == '@' ? read_file(where) : text, where);
    if (!json.is_object()) refuse_bias(where, json.kind());
    for (const auto& [id, bias] : json.object()) {
      if (!bias.is_number()) refuse_bias(where, bias.dump());
      biases[parse_number<int32_t>(id, where, id)] = bias.number();
    }
  }
  return {biases.begin(), biases.end()};
}

}  // namespace

std::shared_ptr<SamplingOptions> add_sampling_options(CLI::App& app) {
  auto o = std::make_shared<SamplingOptions>();
  const char* group = "Sampling (defaults: the folder's generation_config.json)";
  app.add_option("--max-tokens", o->max_tokens, "stop after N new tokens (default 1024)")
      ->check(CLI::Range(1, 1 << 30))
      ->group(group);
  app.add_flag("--greedy", o->greedy, "always the most likely token, as --temperature 0")->group(group);
  app.add_option("--temperature", o->temperature, "0: greedy; 1: the model's own distribution")->group(group);
  app.add_option("--top-k", o->top_k, "only the K most likely tokens; 0: all")->group(group);
  app.add_option("--top-p", o->top_p, "only the likeliest tokens that together reach P")->group(group);
  app.add_option("--min-p", o->min_p, "only tokens at least P times as likely as the likeliest")->group(group);
  app.add_option("--repetition-penalty", o->repetition_penalty,
                 "divides the scores of all tokens so far, the prompt's too; 1: none")
      ->group(group);
  app.add_option("--presence-penalty", o->presence_penalty, "taken once from the score of each token written; 0: none")
      ->group(group);
  app.add_option("--frequency-penalty", o->frequency_penalty,
                 "taken from a token's score each time it has been written; 0: none")
      ->group(group);
  app.add_option("--logit-bias", o->logit_biases,
                 "added to a token's score: ID=BIAS (may be given more than once), {\"ID\": BIAS, ...} or @FILE")
      ->group(group)
      ->allow_extra_args(false);
  app.add_option("--seed", o->seed, "same seed, same text (default 0)")->check(seed_fault)->group(group);
  app.add_option("--stop", o->stops, "end before this text; may be given more than once")
      ->group(group)
      ->allow_extra_args(false);
  app.add_flag("--ignore-eos", o->ignore_eos, "go on past the model's stop tokens")->group(group);
  return o;
}

GenerateOptions resolve(const SamplingOptions& given, const GenerationConfig& folder, const Config& config) {
  GenerateOptions options;
  Sampling& s = options.sampling;
  const bool asked = given.temperature || given.top_k || given.top_p || given.min_p;
  const bool sampled = !given.greedy && (asked || folder.do_sample.value_or(false));
  s.temperature = sampled ? given.temperature.value_or(folder.temperature.value_or(1)) : 0;
  s.top_k = given.top_k.value_or(folder.top_k.value_or(0));
  s.top_p = given.top_p.value_or(folder.top_p.value_or(1));
  s.min_p = given.min_p.value_or(folder.min_p.value_or(0));
  s.seed = given.seed;
  check_sampling(s);
  options.penalties.repetition = given.repetition_penalty.value_or(folder.repetition_penalty.value_or(1));
  options.penalties.presence = given.presence_penalty;
  options.penalties.frequency = given.frequency_penalty;
  options.penalties.logit_bias = parse_biases(given.logit_biases);
  check_penalties(options.penalties, config.vocab_size);
  options.max_tokens = given.max_tokens.value_or(folder.max_new_tokens.value_or(kDefaultMaxTokens));
  if (!given.ignore_eos) options.stop_ids = folder.eos_token_ids.empty() ? config.eos_token_ids : folder.eos_token_ids;
  options.stop_strings = given.stops;
  return options;
}

}  // namespace nemotron::cli
