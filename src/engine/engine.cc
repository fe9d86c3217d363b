// Engine: options to backend, folder to model, token lists to batches.

#include "engine/engine.h"

#include <algorithm>
#include <cstring>

#include "base/disk.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/larger.h"
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

// The reference stays exact: it is what int8 is measured against.
Activations activations(const EngineOptions& options) {
  return options.exact || options.backend == "ref" ? Activations::real : Activations::int8;
}

int thread_count(const EngineOptions& options, const std::vector<int>& cpus) {
  const bool list = !cpus.empty() && options.affinity != "cores";
  const int count = options.threads != 0 ? options.threads : list ? int(cpus.size()) : Threads::physical_cores();
  Threads::check_cpus(cpus, count);  // `bind` comes after the loading of gigabytes
  return count;
}

}  // namespace

Engine::Engine(const std::filesystem::path& folder, const EngineOptions& options)
    : cpus_(parse_affinity(options.affinity)),
      threads_(thread_count(options, cpus_)),
      options_(options),
      context_{find_backend(options), threads_, arena_, checked_dt_min(options.dt_min), activations(options)},
      model_(load_model(folder, warnings_, threads_)) {
  uint64_t weights = 0;
  for (const auto& file : model_.mapped) weights += file.size();
  const uint64_t available = options.memory ? *options.memory : available_memory();
  const uint64_t room = options.memory ? *options.memory : uint64_t(double(available) * kWeightShare);
  if (weights <= room)
    prefetch_.emplace(model_.mapped);
  else
    read_from_disk(weights, available, room);  // a prefetch of all would push its own pages out again
  threads_.bind(cpus_);                        // last: what runs in the background is not bound
}

void Engine::read_from_disk(uint64_t weights, uint64_t available, uint64_t room) {
  constexpr double kSeconds = 0.1;
  constexpr uint64_t kUsual = 1 << 20;  // of a read where there are no experts
  Footprint f = footprint(model_);
  const DiskDemand demand = disk_demand(f, room);
  // Before anything else reads.
  const double speed = random_read_speed(model_.files, f.read_bytes ? f.read_bytes : kUsual, kSeconds);
  warnings_.push_back(larger_than_memory(demand, f, weights, available, speed));
  read_ahead_.emplace(model_.mapped, std::move(f.common), demand.common_fits);
  context_.read_ahead = &*read_ahead_;
}

StateFormat Engine::state_format() const {
  return {.real = context_.ops.real,
          .kv = options_.kv.value_or(KvFormat::real),
          .ssm = options_.ssm.value_or(SsmFormat::real),
          .seed = options_.state_seed.value_or(0)};
}

template <class Visit>
void Engine::for_each_step(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk, Visit&& visit) {
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
    visit(offset, segments, forward(context_, model_, batch, segments, &state));
  }
}

void Engine::feed(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk,
                  const std::function<void(int slot, index offset, Rows hidden)>& visit) {
  for_each_step(ids, state, chunk, [&](index offset, const std::vector<Segment>& segments, Rows hidden) {
    for (const Segment& s : segments) visit(s.slot, offset, hidden.row_range(s.begin, s.end));
  });
}

std::vector<std::vector<float>> Engine::next_logits(const std::vector<std::vector<int32_t>>& ids, State& state,
                                                    index chunk) {
  std::vector<std::vector<float>> out(ids.size());
  for_each_step(ids, state, chunk, [&](index offset, const std::vector<Segment>& segments, Rows hidden) {
    // The last rows of all lists that end here go through lm_head together.
    Rows last = arena_.rows(hidden.real, index(segments.size()), hidden.cols);
    std::vector<int> slots;
    for (const Segment& s : segments) {
      if (offset + s.size() < index(ids[size_t(s.slot)].size())) continue;
      const auto row = index(slots.size());
      std::memcpy(last.row_range(row, row + 1).data, hidden.row_range(s.end - 1, s.end).data,
                  size_t(hidden.cols) * real_size(hidden.real));
      slots.push_back(s.slot);
    }
    if (slots.empty()) return;
    const Rows rows = logits(context_, model_, last.row_range(0, index(slots.size())));
    for (size_t i = 0; i < slots.size(); ++i) {
      auto& row = out[size_t(slots[i])];
      row.resize(size_t(rows.cols));
      copy_row(rows, index(i), row.data());
    }
  });
  return out;
}

void copy_row(Rows rows, index t, float* out) {
  if (rows.real == Real::f32)
    std::copy_n(rows.row<float>(t), rows.cols, out);
  else
    std::transform(rows.row<double>(t), rows.row<double>(t) + rows.cols, out, [](double v) { return float(v); });
}

}  // namespace nemotron
