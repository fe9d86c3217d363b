// Engine: options to backend, folder to model, token lists to batches.

#include "engine/engine.h"

#include <algorithm>

#include "base/error.h"
#include "io/checkpoint.h"

namespace nemotron {
namespace {

const Backend& find_backend(const EngineOptions& options) {
  if (options.backend != "cpu" && options.backend != "ref")
    throw Error({.what = "no such backend", .where = "--backend", .expected = "cpu or ref", .found = options.backend});
  if (options.backend == "ref") {
    if (!options.target.empty())
      throw Error({.what = "the ref backend has no SIMD targets",
                   .where = "--target",
                   .found = options.target,
                   .hint = "leave it out, or use --backend cpu"});
    return ref_backend();
  }
  if (!options.target.empty()) set_cpu_target(options.target);
  return cpu_backend();
}

double checked_dt_min(double dt_min) {
  if (!(dt_min >= 0 && dt_min <= 1e6))
    throw Error(
        {.what = "option out of range", .where = "--dt-min", .expected = "0 or more", .found = std::to_string(dt_min)});
  return dt_min;
}

}  // namespace

Engine::Engine(const std::filesystem::path& folder, const EngineOptions& options)
    : threads_(options.threads == 0 ? Threads::physical_cores() : options.threads),
      options_(options),
      context_{find_backend(options), threads_, arena_, checked_dt_min(options.dt_min)},
      model_(load_model(folder, warnings_, threads_)) {}

StateFormat Engine::state_format() const {
  return {.real = context_.ops.real,
          .kv = options_.kv.value_or(KvFormat::real),
          .ssm = options_.ssm.value_or(SsmFormat::real),
          .seed = options_.state_seed.value_or(0)};
}

void Engine::feed(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk,
                  const std::function<void(int slot, index offset, Rows hidden)>& visit) {
  for (index offset = 0;; offset += chunk) {
    std::vector<int32_t> batch;
    std::vector<Segment> segments;
    for (size_t s = 0; s < ids.size(); ++s) {
      const index left = index(ids[s].size()) - offset;
      if (left <= 0) continue;
      const auto first = ids[s].begin() + offset;
      const auto begin = index(batch.size());
      batch.insert(batch.end(), first, first + std::min(chunk, left));
      segments.push_back({begin, index(batch.size()), int(s)});
    }
    if (segments.empty()) return;
    const Scratch scratch(arena_);
    const Rows hidden = forward(context_, model_, batch, segments, &state);
    for (const Segment& s : segments) visit(s.slot, offset, hidden.row_range(s.begin, s.end));
  }
}

std::vector<float> Engine::logits(Rows hidden_row) {
  const Scratch scratch(arena_);
  const Rows row = nemotron::logits(context_, model_, hidden_row);
  std::vector<float> out(size_t(row.cols));
  copy_row(row, 0, out.data());
  return out;
}

void copy_row(Rows rows, index t, float* out) {
  if (rows.real == Real::f32)
    std::copy_n(rows.row<float>(t), rows.cols, out);
  else
    std::transform(rows.row<double>(t), rows.row<double>(t) + rows.cols, out, [](double v) { return float(v); });
}

}  // namespace nemotron
