// The options of generation that `generate` and `chat` share, and the defaults that a folder brings.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/generate.h"
#include "io/generation_config.h"
#include "model/config.h"

namespace CLI {
class App;
}

namespace nemotron::cli {

// As given on the command line; what is not given comes from the folder.
struct SamplingOptions {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  double presence_penalty = 0, frequency_penalty = 0;
  std::vector<std::string> logit_biases;  // "ID=BIAS", {"ID": BIAS, …} or @FILE with that
  std::optional<index> top_k, max_tokens;
  bool greedy = false, ignore_eos = false;
  uint64_t seed = 0;
  std::vector<std::string> stops;
};
std::shared_ptr<SamplingOptions> add_sampling_options(CLI::App& app);

// Without any sampling option the folder's generation_config.json decides, which samples only where it says do_sample;
// without one, greedy. A sampling option given turns sampling on. Stop ids are those of generation_config.json, else of
// config.json. Throws Error for values out of range.
GenerateOptions resolve(const SamplingOptions& given, const GenerationConfig& folder, const Config& config);

}  // namespace nemotron::cli
