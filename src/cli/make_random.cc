// `nemotron make-random`: a folder of the true layout with random weights, for benchmarks and tests.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/tokenizer.h"
#include "io/random_checkpoint.h"
#include "model/presets.h"

namespace nemotron::cli {
namespace {

struct Options {
  std::string config, out, format, layers, tokenizer;
  uint64_t seed = 0;
  int threads = 0;
  bool headers_only = false;
};

struct Source {
  Json config;
  std::string where;
  std::string format;  // that a preset's name ends in; else empty
};

// A config.json, a folder with one, or the name of a preset, in this order.
Source find_source(const std::string& text) {
  std::filesystem::path path = text;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) path /= "config.json";
  if (path_exists(path)) {
    constexpr uint64_t kMostConfig = 100'000'000;  // bytes; Super NVFP4's is 7 MB
    return {parse_json(nemotron::read_file(path, kMostConfig), path.string()), path.string(), ""};
  }
  std::string format;
  if (const Preset* preset = find_preset(text, &format)) return {parse_json(preset->json, text), preset->name, format};
  std::string names;
  for (const Preset& p : presets()) names += (names.empty() ? "" : ", ") + std::string(p.name);
  throw Error({.what = "no such model",
               .expected = "a config.json, a folder with one, or one of " + names,
               .found = printable(text)});
}

Recipe recipe(const Options& o, const Source& source) {
  if (!o.format.empty() && !source.format.empty() && o.format != source.format) {
    throw Error({.what = "the name asks for another format than --format",
                 .expected = source.format,
                 .found = o.format,
                 .hint = "leave one of them out"});
  }
  const std::string& name = o.format.empty() ? source.format : o.format;
  return name.empty() ? Recipe::bf16 : *find_recipe(name);
}

// "A-B", or "A" alone.
std::optional<std::pair<index, index>> parse_layers(const std::string& text) {
  if (text.empty()) return {};
  const size_t dash = text.find('-');
  const auto number = [](std::string_view digits) -> index {  // -1: it is none
    index value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return result.ec == std::errc() && result.ptr == digits.data() + digits.size() ? value : -1;
  };
  const index first = number(std::string_view(text).substr(0, dash));
  const index last = dash == text.npos ? first : number(std::string_view(text).substr(dash + 1));
  if (first < 0 || last < first) {
    throw Error({.what = "bad --layers",
                 .expected = "A-B, the first and the last layer, such as 0-6",
                 .found = printable(text)});
  }
  return {{first, last}};
}

// The tokenizer that is to be copied must speak of ids that the model has.
void check_tokenizer(const std::string& folder, const Config& config) {
  if (folder.empty()) return;
  need_tokenizer(open_tokenizer(folder, config), folder);
}

class ProgressLine {
 public:
  void show(const RandomCheckpointProgress& p) {
    using namespace std::chrono;
    if (!isatty(STDERR_FILENO)) return;
    const auto now = steady_clock::now();
    if (first_ == 0) begin_ = now, first_ = p.done;
    if (now - shown_ < milliseconds(200)) return;
    shown_ = now;
    const double seconds = duration<double>(now - begin_).count(),
                 rate = double(p.done - first_) / std::max(seconds, 1e-3);
    std::fprintf(stderr, "\r%5.1f of %.1f GB, file %zu of %zu, %.0f MB/s, %.0f s left   ", double(p.done) / 1e9,
                 double(p.total) / 1e9, p.shard + 1, p.shards, rate / 1e6,
                 double(p.total - p.done) / std::max(rate, 1.0));
    visible_ = true;
  }
  void end() {
    if (visible_) std::fprintf(stderr, "\r%80s\r", "");
  }

 private:
  std::chrono::steady_clock::time_point begin_, shown_;
  uint64_t first_ = 0;
  bool visible_ = false;
};

// 247222108160 as "247,222,108,160".
std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

int run(const Options& o) {
  const Source source = find_source(o.config);
  RandomCheckpointOptions options{.recipe = recipe(o, source),
                                  .layers = parse_layers(o.layers),
                                  .seed = o.seed,
                                  .headers_only = o.headers_only,
                                  .tokenizer = o.tokenizer};
  check_tokenizer(o.tokenizer, parse_config(source.config, source.where));
  Threads threads(o.threads ? o.threads : Threads::physical_cores());
  const Interrupt interrupt;
  ProgressLine line;
  const RandomCheckpoint made =
      make_random_checkpoint(source.config, source.where, o.out, options, threads, [&](const auto& progress) {
        line.show(progress);
        return !Interrupt::requested();
      });
  line.end();
  print_warnings(made.warnings);
  if (!made.finished) {
    std::fprintf(stderr, "nemotron: stopped; the same command goes on where this one was\n");
    return 130;
  }
  std::printf("%s: %s tensors / %s bytes in %zu file%s, %s parameters in %s%s, after %s\n", printable(o.out).c_str(),
              grouped(made.tensors).c_str(), grouped(made.bytes).c_str(), made.shards, made.shards == 1 ? "" : "s",
              grouped(made.parameters).c_str(), recipe_name(options.recipe), o.headers_only ? ", headers only" : "",
              printable(source.where).c_str());
  return 0;
}

}  // namespace

std::function<int()> define_make_random(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->config, "a config.json, a folder with one, or Nano, Super, Ultra, Lightning")->required();
  app.add_option("OUT", o->out, "the folder to make")->required();
  app.add_option(
         "--format", o->format,
         "bf16, fp8, nvfp4 as published, or mixed: NVFP4 experts, FP8 Mamba (default bf16); nvfp4-even: every "
         "matrix of the layers NVFP4 and the head FP8, the bits of llama.cpp's Q4_0 files with a Q8_0 head, for "
         "comparing speeds like for like; nvfp4-all: the head NVFP4, too")
      ->check(CLI::IsMember({"bf16", "fp8", "nvfp4", "mixed", "nvfp4-even", "nvfp4-all"}));
  app.add_option("--layers", o->layers, "A-B: only these layers, counted from 0 in the whole model; no MTP block then");
  app.add_option("--seed", o->seed, "the same seed gives the same bytes (default 0)")->check(seed_fault);
  app.add_option("--tokenizer", o->tokenizer,
                 "copy tokenizer and chat template of this folder (default: made-up words)");
  app.add_option("--threads", o->threads, "threads (default: physical cores)")->check(CLI::Range(1, Threads::kMost));
  app.add_flag("--headers-only", o->headers_only, "files of the true sizes with holes for weights: no room, no time");
  return [o] { return run(*o); };
}

}  // namespace nemotron::cli
