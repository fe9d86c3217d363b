// Options of generation, and who decides what is not given.

#include "cli/sampling.h"

#include <CLI/CLI.hpp>

#include "cli/options.h"

namespace nemotron::cli {
namespace {

constexpr index kDefaultMaxTokens = 1024;

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
  options.max_tokens = given.max_tokens.value_or(folder.max_new_tokens.value_or(kDefaultMaxTokens));
  if (!given.ignore_eos) options.stop_ids = folder.eos_token_ids.empty() ? config.eos_token_ids : folder.eos_token_ids;
  options.stop_strings = given.stops;
  return options;
}

}  // namespace nemotron::cli
