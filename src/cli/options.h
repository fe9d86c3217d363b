// Options that several commands share.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "engine/sampler.h"

namespace CLI {
class App;
}

namespace nemotron::cli {

// Adds DIR, --threads, --backend, --target, --kv, --state, --state-seed, --exact, --dt-min, --affinity and --memory;
// the returned values are set when the options are parsed.
struct ModelOptions {
  std::string folder;
  EngineOptions engine;
};
std::shared_ptr<ModelOptions> add_model_options(CLI::App& app);

// What is wrong with `text` as a seed; empty if nothing is. An option's check, because CLI11 takes -1 for 2^64 - 1.
std::string seed_fault(const std::string& text);

// The bytes of a size such as "512M" or "8G": K, M, G and T are powers of 1024. Nothing for anything else.
std::optional<uint64_t> parse_size(const std::string& text);

// The text of a file, or of standard input for "-". Throws Error.
std::string read_file(const std::string& path);

// Prints each warning as one line on standard error.
void print_warnings(const std::vector<std::string>& warnings);

}  // namespace nemotron::cli
