// `nemotron bench`: tokens a second of prompts and of decoding, each beside the limits of this machine.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "bench/report.h"
#include "bench/runner.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/stored.h"
#include "ops/peak.h"
#include "plan/figures.h"
#include "plan/machines.h"

namespace nemotron::cli {
namespace {

constexpr index kMostTokens = 1 << 24, kMostBatch = 4096;
constexpr size_t kMostTests = 1000;
constexpr index kAllAtOnce = index{1} << 40;

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::string prompt = "512", gen = "128", depth = "0", threads, batch = "1", format = "markdown";
  int repeat = 5;
  index chunk = 512;  // 0: all at once
  bool ops = false;

  index chunk_tokens() const { return chunk > 0 ? chunk : kAllAtOnce; }
};

// "512" or "128,512".
std::vector<index> parse_list(const std::string& text, const char* option, index least, index most) {
  std::vector<index> list;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    index n = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, n);
    if (error != std::errc() || rest != text.data() + end || n < least || n > most)
      throw Error({.what = "bad list of numbers",
                   .where = option,
                   .expected = fmt::format("numbers from {} to {}, such as 128,512", least, most),
                   .found = text.empty() ? "nothing" : printable(text, 60)});
    list.push_back(n);
    at = end + 1;
  }
  return list;
}

std::vector<BenchTest> parse_tests(const Options& o) {
  const auto prompts = parse_list(o.prompt, "--prompt", 0, kMostTokens);
  const auto gens = parse_list(o.gen, "--gen", 0, kMostTokens);
  const auto depths = parse_list(o.depth, "--depth", 0, kMostTokens);
  const auto batches = parse_list(o.batch, "--batch", 1, kMostBatch);
  // As many as the engine takes by itself.
  const auto threads = o.threads.empty() ? std::vector<index>{Threads::physical_cores()}
                                         : parse_list(o.threads, "--threads", 1, Threads::kMost);
  const size_t count = (prompts.size() + gens.size()) * depths.size() * batches.size() * threads.size();
  if (count > kMostTests)
    throw Error(
        {.what = "too many tests", .expected = fmt::format("at most {}", kMostTests), .found = std::to_string(count)});
  std::vector<BenchTest> tests;
  for (const index batch : batches)
    for (const index depth : depths)
      for (const index t : threads)
        for (const bool decode : {false, true})
          for (const index tokens : decode ? gens : prompts)
            if (tokens > 0) tests.push_back({decode, tokens, depth, int(batch), int(t)});
  if (tests.empty())
    throw Error({.what = "nothing to measure",
                 .where = "--prompt and --gen",
                 .expected = "one of them above 0",
                 .found = o.prompt + " and " + o.gen});
  return tests;
}

// ---- before anything is measured ----

void check_context(const std::vector<BenchTest>& tests, const Config& config) {
  for (const BenchTest& t : tests) {
    if (t.depth + t.tokens <= config.max_position_embeddings) continue;
    throw Error(
        {.what = "more tokens than the model's context holds",
         .where = fmt::format("--{} {}{}", t.decode ? "gen" : "prompt", t.tokens,
                              t.depth > 0 ? fmt::format(" at --depth {}", t.depth) : ""),
         .expected = fmt::format("at most {} together (max_position_embeddings)", config.max_position_embeddings),
         .found = std::to_string(t.depth + t.tokens)});
  }
}

// What a folder is to a plan.
struct Planned {
  Architecture architecture;
  Resident resident;
  CacheFormats formats;
  bool exact = true;  // whether the plan knows the backend's numbers
};

Planned plan_folder(const Options& o, Config& config) {
  const uint64_t program = program_size();  // before the weights are mapped, too
  const Checkpoint c = open_checkpoint(o.model->folder);
  config = c.config;
  Planned p{architecture_of(c), resident_of(c), {NumberFormat::f32, NumberFormat::f32, NumberFormat::f32, false}};
  p.resident.program = program;
  p.resident.tokenizer = 0;  // none is read
  const EngineOptions& e = o.model->engine;
  const KvFormat kv = e.kv.value_or(KvFormat::real);
  p.formats.kv = kv == KvFormat::fp8    ? NumberFormat::fp8
                 : kv == KvFormat::bf16 ? NumberFormat::bf16
                                        : NumberFormat::f32;
  if (e.ssm.value_or(SsmFormat::real) == SsmFormat::f16) p.formats.state = NumberFormat::f16;
  p.exact = e.backend == "cpu";
  return p;
}

// The rows that go through the model at once are those of a chunk of all prompts, or of the one sequence that fills the
// cache to the depth.
Workload workload(const BenchTest& t, const Planned& p, index chunk) {
  const index fill = (std::min(chunk, t.depth) + t.batch - 1) / t.batch;
  const index rows = std::max(t.decode ? 1 : std::min(chunk, t.tokens), fill);
  return {.context = uint64_t(t.depth + t.tokens),
          .batch = uint64_t(t.batch),
          .prefill_chunk = uint64_t(rows),
          .formats = p.formats};
}

// The largest test's.
Memory promise(const std::vector<BenchTest>& tests, Planned& p, index chunk) {
  Memory most;
  for (const BenchTest& t : tests) {
    p.resident.threads = t.threads;
    const Memory m = resident_memory(p.resident, p.architecture, workload(t, p, chunk));
    if (m.total() > most.total()) most = m;
  }
  return most;
}

// Whether the weights stay in memory beside the rest; throws where the rest alone is too much.
bool check_memory(const Memory& needed) {
  const uint64_t free = available_memory(), own = needed.total().value() - needed.weights.value();
  if (own > free)
    throw Error({.what = "the largest test does not fit into memory",
                 .where = "--prompt, --gen, --depth and --batch",
                 .expected = "at most " + in_bytes(double(free)) + " beside the weights, which is what is free",
                 .found = in_bytes(double(own)),
                 .hint = "a smaller --batch, --depth or --chunk, or --kv fp8"});
  if (needed.total().value() <= free) return true;
  print_warnings({fmt::format("{} of weights do not stay in memory beside {}: they are read from disk again and again",
                              in_bytes(needed.weights.real()), in_bytes(double(own)))});
  return false;
}

// ---- this machine ----

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != line.npos) return printable(line.substr(colon + 2), 100);
  }
  return "a processor without a name";
}

// A machine as the plan sees it, and its limits for these weights.
struct Measurement {
  Machine machine;
  Limits limits;
};
using Measurements = std::vector<Measurement>;

Measurements measure_machine(const std::vector<BenchTest>& tests, uint64_t weights) {
  Measurements all;
  for (const BenchTest& t : tests) {
    const auto same = [&](const Measurement& m) { return m.limits.threads == t.threads; };
    if (std::any_of(all.begin(), all.end(), same)) continue;
    Threads threads(t.threads);
    Machine m = measure_this_machine(threads);
    const Limits limits{.threads = t.threads,
                        .bandwidth = m.bandwidth,
                        .f32 = m.bf16,
                        .int8 = m.fp4,
                        .cached = weights <= last_cache() ? measure_bandwidth_of(threads, weights) : 0};
    all.push_back({std::move(m), limits});
  }
  return all;
}

const Measurement& measured_for(const Measurements& all, const BenchTest& t) {
  return *std::find_if(all.begin(), all.end(), [&](const Measurement& m) { return m.limits.threads == t.threads; });
}

// Forgets the peak so far: that of measuring, whose buffers are larger than a small model.
bool reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  return bool(file << "5" << std::flush);
}

std::optional<uint64_t> peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return {};
}

std::string formats_of(const Architecture& a) {
  std::map<NumberFormat, double> bytes;
  for (const WeightGroup& g : a.weights) bytes[g.format] += g.bytes.real();
  const double all = weight_bytes(a, true).real();
  std::string text;
  for (const auto& [format, of] : bytes)
    text += fmt::format("{}{} {:.{}f} %", text.empty() ? "" : ", ", format_name(format), 100 * of / all,
                        of < all / 100 ? 2 : 0);
  return text;
}

Setting setting_of(const Options& o, const Planned& p, const Measurements& machines, double startup) {
  const EngineOptions& e = o.model->engine;
  const std::filesystem::path folder = std::filesystem::absolute(o.model->folder).lexically_normal();
  Setting s{.version = NEMOTRON_VERSION,
            .cpu = cpu_name(),
            .target = e.backend == "ref" ? "ref" : cpu_target(),
            .limits = {},
            .folder = printable((folder.has_filename() ? folder : folder.parent_path()).filename().string(), 60),
            .formats = formats_of(p.architecture),
            .weight_bytes = weight_bytes(p.architecture, true).value(),
            .kv = e.backend == "ref" && !e.kv ? "F64" : format_name(p.formats.kv),
            .state = e.backend == "ref" && !e.ssm ? "F64" : format_name(p.formats.state),
            .exact = e.exact || e.backend == "ref",
            .chunk = o.chunk,
            .startup_seconds = startup};
  for (const Measurement& m : machines) s.limits.push_back(m.limits);
  return s;
}

// ---- progress ----

// A line on standard error, where that is a terminal: what runs, how fast, and how long all will take.
class Progress {
 public:
  Progress(const std::vector<BenchTest>& tests, const Measurements& machines, const Planned& p, const Options& o)
      : shown_(isatty(STDERR_FILENO) != 0) {
    if (!shown_) return;
    for (const BenchTest& t : tests) expected_.push_back(seconds_of(t, measured_for(machines, t).machine, p, o));
    for (const double s : expected_) left_ += s;
  }
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void begin(const BenchTest& test) {
    if (!shown_) return;
    test_ = &test, stage_name_ = nullptr;
    test_start_ = before_ = wall_seconds();
  }

  void show(const Stage& stage) {
    if (!shown_) return;
    const double now = wall_seconds();
    if (stage_name_ != stage.name || run_ != stage.run)  // its first pass has just ended
      stage_name_ = stage.name, run_ = stage.run, stage_start_ = before_;
    before_ = now;
    if (now < next_) return;
    next_ = now + 0.2;
    std::string line = fmt::format("{}, {} thread{}, batch {}: {} ", test_->name(), test_->threads,
                                   test_->threads == 1 ? "" : "s", test_->batch, stage.name);
    if (stage.runs > 1) line += fmt::format("{} of {}, ", stage.run + 1, stage.runs);
    const int sequences = std::string_view(stage.name) == "fill" ? 1 : test_->batch;
    line += fmt::format("{} of {} tokens, {:.1f} tokens/s", stage.done, stage.tokens,
                        double(stage.done * sequences) / (now - stage_start_));
    if (const double left = left_ * pace_ - (now - test_start_); left > 0 && done_ > 0)
      line += fmt::format(", about {} left", in_seconds(std::max(1.0, left)));
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    drawn_ = true;
  }

  // What the test took, against what the limits would have let it take, says how long the others will.
  void end() {
    if (!shown_) return;
    took_ += wall_seconds() - test_start_;
    hoped_ += expected_[done_];
    left_ -= expected_[done_++];
    pace_ = hoped_ > 0 ? took_ / hoped_ : 1;
    clear();
  }

  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    drawn_ = false;
  }

 private:
  static double seconds_of(const BenchTest& t, const Machine& m, const Planned& p, const Options& o) {
    Workload w = workload(t, p, o.chunk_tokens());
    w.prefill_chunk = uint64_t(std::min(o.chunk_tokens(), index(w.context)));
    const auto before = [&](index depth) {
      if (depth == 0) return 0.0;
      Workload filled = w;
      filled.context = uint64_t(depth);
      return prefill(p.architecture, filled, m).seconds;
    };
    const double runs = double(o.repeat * (o.ops ? 2 : 1) + 1);
    if (!t.decode) return runs * (before(t.depth + t.tokens) - before(t.depth));
    return runs * double(t.tokens) * decode_step(p.architecture, w, m).seconds();
  }

  bool shown_, drawn_ = false;
  std::vector<double> expected_;
  double left_ = 0, took_ = 0, hoped_ = 0, pace_ = 1;
  double test_start_ = 0, stage_start_ = 0, before_ = 0, next_ = 0;
  size_t done_ = 0;
  const BenchTest* test_ = nullptr;
  const char* stage_name_ = nullptr;
  int run_ = 0;
};

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error({.what = "cannot write to standard output"});
}

int bench(const Options& o) {
  const std::vector<BenchTest> tests = parse_tests(o);
  Config config;
  Planned planned = plan_folder(o, config);
  check_context(tests, config);
  const Memory needed = promise(tests, planned, o.chunk_tokens());
  const bool fits = check_memory(needed);

  // The limits first, alone on the machine: a loaded engine reads its files in the background.
  EngineOptions options = o.model->engine;
  if (options.backend == "cpu" && !options.target.empty()) set_cpu_target(options.target);
  const Measurements machines = measure_machine(tests, weight_bytes(planned.architecture, false).value());
  for (const BenchTest& t : tests) options.threads = std::max(options.threads, t.threads);
  const bool peak_known = reset_peak();
  const double start = wall_seconds();
  Engine engine(o.model->folder, options);
  const Setting setting = setting_of(o, planned, machines, wall_seconds() - start);
  print_warnings(engine.warnings());

  const Interrupt interrupt;
  if (fits) touch_weights(engine.model(), [] { return !Interrupt::requested(); });
  const bool streams = o.format == "markdown";
  if (streams) print(markdown_head(setting, tests));
  Runner runner(engine, o.chunk_tokens());
  Progress progress(tests, machines, planned, o);
  std::vector<Measured> rows;
  for (const BenchTest& t : tests) {
    if (Interrupt::requested()) break;
    progress.begin(t);
    std::optional<Measured> m =
        runner.run(t, measured_for(machines, t).limits, o.repeat, o.ops, [&](const Stage& stage) {
          progress.show(stage);
          return !Interrupt::requested();
        });
    if (!m) break;
    progress.end();
    if (streams) print(markdown_row(*m, tests));
    rows.push_back(std::move(*m));
  }
  progress.clear();

  Peak peak{.kept = runner.kept_bytes()};
  if (peak_known) peak.measured = peak_memory();
  if (planned.exact && rows.size() == tests.size()) peak.promised = needed.total().value();
  if (streams)
    print(markdown_tail(rows, peak));
  else
    print(o.format == "csv" ? csv_of(setting, rows, peak, o.ops) : json_of(setting, rows, peak).dump() + "\n");
  return Interrupt::requested() ? 130 : 0;
}

}  // namespace

std::function<int()> define_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  app.remove_option(app.get_option("--threads"));  // one count there, a list here
  app.add_option("--prompt", o->prompt, "N,...: prompts of so many tokens, ppN; 0: none (default 512)");
  app.add_option("--gen", o->gen, "N,...: so many tokens generated one by one, tgN; 0: none (default 128)");
  app.add_option("--depth", o->depth, "N,...: tokens in the cache before (default 0)");
  app.add_option("--batch", o->batch, "N,...: sequences side by side (default 1)");
  app.add_option("--threads", o->threads, "N,...: threads (default: physical cores)");
  app.add_option("--repeat", o->repeat, "runs of each test, after one that warms up (default 5)")
      ->check(CLI::Range(1, 1000));
  const std::map<std::string, index> all = {{"all", 0}};
  app.add_option("--chunk", o->chunk, "prompts in pieces of N tokens, or all at once: `all` (default 512)")
      ->transform(CLI::Transformer(all))
      ->check(CLI::Range(0, 1 << 24));
  app.add_flag("--ops", o->ops, "each op alone as well, timed where it runs; with csv in place of the tests");
  app.add_option("--format", o->format, "markdown, csv or json (default markdown)")
      ->check(CLI::IsMember({"markdown", "csv", "json"}));
  return [o] { return bench(*o); };
}

}  // namespace nemotron::cli
