// A test from its state to its times.

#include "bench/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/philox.h"
#include "ops/peak.h"

namespace nemotron {
namespace {

constexpr uint32_t kSeed = 1;  // of the tokens

// The rows that end their sequence, one below the other.
Rows last_rows(Arena& arena, Rows hidden, std::span<const Segment> segments) {
  const Rows last = arena.rows(hidden.real, index(segments.size()), hidden.cols);
  for (size_t i = 0; i < segments.size(); ++i)
    std::memcpy(last.row_range(index(i), index(i) + 1).data,
                hidden.row_range(segments[i].end - 1, segments[i].end).data,
                size_t(hidden.cols) * real_size(hidden.real));
  return last;
}

// Calls f with each buffer of a state that a pass overwrites: pages only grow.
template <class F>
void for_each_moving(State& state, const F& f) {
  for (int s = 0; s < state.size(); ++s) {
    for (LayerState& layer : state[s].layers) {
      if (layer.conv.size() > 0) f(layer.conv);
      if (layer.ssm.size() > 0) f(layer.ssm);
    }
  }
}

double experts_of(const Meter& meter) {
  double matrices = 0, calls = 0;
  for (const OpTotal& t : meter.ops()) {
    if (t.module != "experts.up_proj") continue;
    matrices += t.matrices, calls += t.calls;
  }
  return calls > 0 ? matrices / calls : 0;
}

}  // namespace

std::string BenchTest::name() const {
  const std::string what = fmt::format("{}{}", decode ? "tg" : "pp", tokens);
  return depth == 0 ? what : fmt::format("{} @ d{}", what, depth);
}

int32_t Runner::token(int sequence, index position) const {
  const auto words =
      philox4x32({uint32_t(position), uint32_t(uint64_t(position) >> 32), uint32_t(sequence), 0}, {kSeed, 0});
  return int32_t(words[0] % uint64_t(engine_.config().vocab_size));
}

Threads& Runner::threads(int count) {
  Context& engine = engine_.context();
  if (count == engine.threads.count()) return engine.threads;
  if (!own_threads_ || own_threads_->count() != count) {
    own_threads_ = std::make_unique<Threads>(count);
    engine_.bind(*own_threads_);
  }
  return *own_threads_;
}

// An arena keeps its blocks. What larger passes need is taken anew, so that smaller blocks do not stay beside larger
// ones.
Arena& Runner::arena(index rows) {
  if (rows > arena_rows_) arena_ = Arena(), arena_rows_ = rows;
  return arena_;
}

Context Runner::context(const Backend& ops, Threads& threads, Arena& arena) const {
  const Context& engine = engine_.context();
  return {ops, threads, arena, engine.dt_min, engine.activations, engine.read_ahead};
}

// One sequence is filled; the others stand where it does, with pages and states of their own.
bool Runner::fill(const BenchTest& test, const OnPass& on_pass) {
  if (state_ && depth_ == test.depth && state_->size() == test.batch) return true;
  state_.reset();
  kept_ = {};
  State state = make_state(engine_.config(), engine_.state_format());
  state.add();
  Context ctx = context(engine_.context().ops, engine_.context().threads, arena(std::min(chunk_, test.depth)));
  for (index done = 0; done < test.depth;) {
    const index n = std::min(chunk_, test.depth - done);
    std::vector<int32_t> ids;
    for (index i = done; i < done + n; ++i) ids.push_back(token(0, i));
    const Scratch scratch(ctx.arena);
    const Segment all{0, n, 0};
    forward(ctx, engine_.model(), ids, {&all, 1}, &state);
    done += n;
    if (!on_pass({.name = "fill", .done = done, .tokens = test.depth})) return false;
  }
  while (state.size() < test.batch) state.copy(0);
  if (test.depth > 0) {
    size_t size = 0;
    for_each_moving(state, [&](const Buffer& b) { size += b.size(); });
    kept_.reserve(size);
    for_each_moving(state, [&](const Buffer& b) { kept_.insert(kept_.end(), b.data(), b.data() + b.size()); });
  }
  kept_bytes_ = std::max<uint64_t>(kept_bytes_, kept_.size());
  state_ = std::move(state);
  depth_ = test.depth;
  return true;
}

void Runner::rewind() {
  for (int s = 0; s < state_->size(); ++s) (*state_)[s].position = depth_;
  size_t at = 0;
  for_each_moving(*state_, [&](Buffer& b) {
    if (kept_.empty())
      std::memset(b.data(), 0, b.size());
    else
      std::memcpy(b.data(), kept_.data() + at, b.size());
    at += b.size();
  });
}

// Seconds of one run.
std::optional<double> Runner::once(Context& ctx, const BenchTest& test, Meter* meter, Stage stage,
                                   const OnPass& on_pass) {
  rewind();
  const index chunk = test.decode ? 1 : chunk_;
  std::vector<int32_t> ids;
  std::vector<Segment> segments;
  const double start = wall_seconds();
  for (index done = 0; done < test.tokens;) {
    const index n = std::min(chunk, test.tokens - done);
    ids.clear(), segments.clear();
    for (int s = 0; s < test.batch; ++s) {
      const auto begin = index(ids.size());
      for (index i = done; i < done + n; ++i) ids.push_back(token(s, test.depth + i));
      segments.push_back({begin, begin + n, s});
    }
    done += n;
    const Scratch scratch(ctx.arena);
    const Rows hidden = forward(ctx, engine_.model(), ids, segments, &*state_);
    if (test.decode || done == test.tokens) logits(ctx, engine_.model(), last_rows(ctx.arena, hidden, segments));
    if (meter) meter->end_pass();
    stage.done = done;
    if (!on_pass(stage)) return {};
  }
  return wall_seconds() - start;
}

std::optional<Measured> Runner::run(const BenchTest& test, const Limits& limits, int repeat, bool ops,
                                    const OnPass& on_pass) {
  if (!fill(test, on_pass)) return {};
  Measured m{.test = test, .limits = limits};
  Arena& scratch = arena((test.decode ? 1 : std::min(chunk_, test.tokens)) * test.batch);
  Threads& pool = threads(test.threads);
  const Backend& backend = engine_.context().ops;
  Stage stage{.name = "warm up", .tokens = test.tokens};
  {
    Meter meter(backend, engine_.model(), limits);
    Context ctx = context(meter.table(), pool, scratch);
    if (!once(ctx, test, &meter, stage, on_pass)) return {};
    m.cost = meter.cost(), m.passes = meter.passes(), m.limit_seconds = meter.limit_seconds();
    m.experts = experts_of(meter);
  }
  Context ctx = context(backend, pool, scratch);
  stage.name = "run", stage.runs = repeat;
  for (stage.run = 0; stage.run < repeat; ++stage.run) {
    const std::optional<double> seconds = once(ctx, test, nullptr, stage, on_pass);
    if (!seconds) return {};
    m.seconds.push_back(*seconds);
  }
  if (!ops) return m;
  Meter meter(backend, engine_.model(), limits);
  Context metered = context(meter.table(), pool, scratch);
  stage.name = "ops";
  for (stage.run = 0; stage.run < repeat; ++stage.run) {
    const std::optional<double> seconds = once(metered, test, &meter, stage, on_pass);
    if (!seconds) return {};
    m.ops_seconds += *seconds;
  }
  m.ops = meter.ops(), m.ops_passes = meter.passes();
  return m;
}

void touch_weights(const Model& model, const std::function<bool()>& go_on) {
  constexpr size_t page = 4096, often = size_t{64} << 20;
  for (const std::span<const uint8_t> file : model.mapped) {
    for (size_t i = 0; i < file.size(); i += page) {
      static_cast<void>(*static_cast<const volatile uint8_t*>(file.data() + i));
      if (i % often == 0 && !go_on()) return;
    }
  }
}

}  // namespace nemotron
