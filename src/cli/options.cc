// Shared options, and reading the files that commands name.

#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "base/error.h"

namespace nemotron::cli {

std::shared_ptr<ModelOptions> add_model_options(CLI::App& app) {
  auto o = std::make_shared<ModelOptions>();
  app.add_option("DIR", o->folder, "checkpoint folder")->required();
  app.add_option("--threads", o->engine.threads, "threads (default: physical cores)")
      ->check(CLI::Range(1, Threads::kMost));
  app.add_option("--backend", o->engine.backend, "cpu, or ref: plain loops in double")
      ->check(CLI::IsMember({"cpu", "ref"}));
  app.add_option("--target", o->engine.target,
                 "SIMD target of the cpu backend (see `nemotron version`; default: the best)");
  const std::map<std::string, KvFormat> kv = {
      {"f32", KvFormat::real}, {"bf16", KvFormat::bf16}, {"fp8", KvFormat::fp8}};
  app.add_option("--kv", o->engine.kv, "cache of keys and values: f32, bf16 or fp8 (default f32)")
      ->transform(CLI::Transformer(kv));
  const std::map<std::string, SsmFormat> ssm = {{"f32", SsmFormat::real}, {"f16", SsmFormat::f16}};
  app.add_option("--state", o->engine.ssm, "Mamba state: f32, or f16 with stochastic rounding (default f32)")
      ->transform(CLI::Transformer(ssm));
  app.add_option("--state-seed", o->engine.state_seed, "seed of the rounding of an f16 state (default 0)");
  app.add_option("--dt-min", o->engine.dt_min, "least Mamba time step (default 0; 0.001 is transformers' torch path)");
  return o;
}

std::string read_file(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  const auto fail = [&]() -> Error {
    return Error({.what = "cannot be read", .where = path, .found = std::strerror(errno)});
  };
  if (!file) throw fail();
  std::string text;
  char buffer[1 << 16];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  const bool failed = std::ferror(file) != 0;
  const Error error = fail();
  if (file != stdin) std::fclose(file);
  if (failed) throw error;
  return text;
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& w : warnings) std::fprintf(stderr, "nemotron: warning: %s\n", printable(w, 600).c_str());
}

}  // namespace nemotron::cli
