// Shared options, and reading the files that commands name.

#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace nemotron::cli {

std::shared_ptr<ModelOptions> add_model_options(CLI::App& app) {
  auto o = std::make_shared<ModelOptions>();
  EngineOptions& e = o->engine;
  const char* group = "Engine";
  app.add_option("DIR", o->folder, "checkpoint folder")->required();
  app.add_option("--threads", e.threads, "threads (default: physical cores)")
      ->check(CLI::Range(1, Threads::kMost))
      ->group(group);
  app.add_option("--affinity", e.affinity,
                 "CPUs to bind threads to: a list such as 0-3,8, a thread on each; cores: one on each physical core; "
                 "none (default)")
      ->group(group);
  const auto size_fault = [](const std::string& text) {
    return parse_size(text) ? std::string() : "expected a size such as 512M or 8G, found " + text;
  };
  const auto memory = [o](const std::string& text) { o->engine.memory = parse_size(text); };
  app.add_option_function<std::string>("--memory", memory,
                                       "memory that weights may count on, such as 8G; larger ones are read from disk "
                                       "as experts are picked (default: nine tenths of what is available)")
      ->check(size_fault)
      ->group(group);
  app.add_option("--backend", e.backend, "cpu, or ref: plain loops in double")
      ->check(CLI::IsMember({"cpu", "ref"}))
      ->group(group);
  app.add_option("--target", e.target, "SIMD target of the cpu backend (see `nemotron version`; default: the best)")
      ->group(group);
  const auto kv = [o](const std::string& f) {
    o->engine.kv = f == "fp8" ? KvFormat::fp8 : f == "bf16" ? KvFormat::bf16 : KvFormat::real;
  };
  app.add_option_function<std::string>("--kv", kv, "cache of keys and values: f32, bf16 or fp8 (default f32)")
      ->check(CLI::IsMember({"f32", "bf16", "fp8"}))
      ->group(group);
  const auto ssm = [o](const std::string& f) { o->engine.ssm = f == "f16" ? SsmFormat::f16 : SsmFormat::real; };
  app.add_option_function<std::string>("--state", ssm,
                                       "Mamba state: f32, or f16 with stochastic rounding (default f32)")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->group(group);
  app.add_option("--state-seed", e.state_seed, "seed of the rounding of an f16 state (default 0)")
      ->check(seed_fault)
      ->group(group);
  app.add_flag("--exact", e.exact,
               "float32 activations everywhere; otherwise those of NVFP4 weights are rounded to int8")
      ->group(group);
  app.add_option("--dt-min", e.dt_min, "least Mamba time step (default 0; 0.001 is transformers' torch path)")
      ->group(group);
  return o;
}

std::string seed_fault(const std::string& text) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return "expected 0 to 18446744073709551615, found " + text;
}

std::optional<uint64_t> parse_size(const std::string& text) {
  uint64_t n = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, n);
  if (error != std::errc() || last - end > 1) return {};
  int shift = 0;
  if (end != last) {
    const size_t unit = std::string_view("KMGT").find(char(std::toupper(static_cast<unsigned char>(*end))));
    if (unit == std::string_view::npos) return {};
    shift = 10 * int(unit + 1);
  }
  if (n > (uint64_t{1} << 62 >> shift)) return {};
  return n << shift;
}

std::string read_file(const std::string& path) {
  const bool standard = path == "-";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(standard ? nullptr : std::fopen(path.c_str(), "rb"),
                                                               std::fclose);
  std::FILE* file = standard ? stdin : opened.get();
  std::string text;
  char buffer[1 << 16];
  if (file)
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  if (!file || std::ferror(file))
    throw Error({.what = "cannot be read", .where = standard ? "standard input" : path, .found = std::strerror(errno)});
  return text;
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& w : warnings) std::fprintf(stderr, "nemotron: warning: %s\n", printable(w, 600).c_str());
}

}  // namespace nemotron::cli
