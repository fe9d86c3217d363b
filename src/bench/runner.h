// Runs the tests of `nemotron bench`: prompts and decode steps at a depth of context, timed pass by pass.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/cost.h"
#include "bench/meter.h"
#include "engine/engine.h"

namespace nemotron {

struct BenchTest {
  bool decode = false;  // one token of each sequence a pass; otherwise a prompt, in chunks
  index tokens = 0;     // of each sequence
  index depth = 0;      // tokens of each sequence that are in the cache before
  int batch = 1;        // sequences, side by side
  int threads = 1;

  std::string name() const;  // "pp512", "tg128 @ d4096"
};

struct Measured {
  BenchTest test = {};
  Limits limits = {};
  std::vector<double> seconds = {};  // of each run
  // Of one run, all runs being alike:
  Cost cost = {};
  double passes = 0;
  double limit_seconds = 0;  // the sum of the passes' rooflines
  double experts = 0;        // distinct ones that a layer read in a pass, the mean; 0: no such layer
  // Of runs of their own, with `ops`:
  std::vector<OpTotal> ops = {};
  double ops_passes = 0, ops_seconds = 0;
};

// Where a test stands.
struct Stage {
  const char* name = "";       // "fill", "warm up", "run", "ops"
  int run = 0, runs = 1;       // from 0
  index done = 0, tokens = 0;  // of each sequence
};

class Runner {
 public:
  // Called after each pass; false ends the test. What it takes is part of the time.
  using OnPass = std::function<bool(const Stage&)>;

  // A prompt goes through the model in chunks of `chunk` tokens of each sequence.
  Runner(Engine& engine, index chunk) : engine_(engine), chunk_(chunk) {}

  // One run that warms up and counts, `repeat` that are timed, with `ops` as many that time each op. The tokens are
  // pseudo-random, each place's always the same, so that all runs do the same work; the logits of each sequence's last
  // row are computed. Nothing where on_pass ended it. Throws std::bad_alloc.
  std::optional<Measured> run(const BenchTest& test, const Limits& limits, int repeat, bool ops, const OnPass& on_pass);

  // What is held beside the state, so that each run can begin where the last one did: bytes.
  uint64_t kept_bytes() const { return kept_bytes_; }

 private:
  Arena& arena(index rows);
  bool fill(const BenchTest& test, const OnPass& on_pass);
  void rewind();
  std::optional<double> once(Context& ctx, const BenchTest& test, Meter* meter, Stage stage, const OnPass& on_pass);
  Threads& threads(int count);
  Context context(const Backend& ops, Threads& threads, Arena& arena) const;
  int32_t token(int sequence, index position) const;

  Engine& engine_;
  index chunk_;
  std::unique_ptr<Threads> own_threads_;
  Arena arena_;
  index arena_rows_ = 0;  // the most that a pass had in it
  // The sequences of the tests that have the same depth and batch, and what of them a run overwrites.
  std::optional<State> state_;
  index depth_ = 0;
  std::vector<std::byte> kept_;
  uint64_t kept_bytes_ = 0;
};

// Reads one byte of each page of the weights, so that they are in memory before anything is timed. `go_on` is asked now
// and then.
void touch_weights(const Model& model, const std::function<bool()>& go_on);

}  // namespace nemotron
