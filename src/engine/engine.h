// A model ready to run: its weights, the backend and threads that compute, and how its state is stored.

#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/prefetch.h"
#include "base/read_ahead.h"
#include "model/model.h"

namespace nemotron {

struct EngineOptions {
  int threads = 0;                          // 0: one for each of a list in `affinity`, or one a physical core
  std::string affinity = {};                // CPUs that threads are bound to: base/affinity.h; empty: none
  std::string backend = "cpu";              // or "ref"
  std::string target = {};                  // SIMD target of the cpu backend; empty: the best
  std::optional<KvFormat> kv = {};          // not given: KvFormat::real
  std::optional<SsmFormat> ssm = {};        // not given: SsmFormat::real
  std::optional<uint64_t> state_seed = {};  // of the rounding noise of an FP16 state; not given: 0
  double dt_min = 0;
  std::optional<uint64_t> memory = {};  // bytes that weights may count on; not given: 9/10 of what is available
  bool exact = false;  // the cpu backend multiplies NVFP4 weights with float32 activations too, not with int8
};

class Engine {
 public:
  // Loads a checkpoint folder. What is odd but harmless is kept in warnings(). Throws Error. Where there is memory for
  // all weights they are brought in in the background. Where there is not they are read from disk as they are used,
  // with warnings() saying what speed to expect; no bit of any result differs, nor is the process killed: the mapped
  // pages are clean ones of files, which the system drops and reads again at will.
  Engine(const std::filesystem::path& folder, const EngineOptions& options);

  const Model& model() const { return model_; }
  const Config& config() const { return model_.config; }
  Context& context() { return context_; }
  // Binds another pool of at most as many threads to the CPUs of the option `affinity`.
  void bind(Threads& threads) const { threads.bind(cpus_); }
  StateFormat state_format() const;
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Feeds `ids`, one list a sequence of `state` from slot 0 on, in steps of up to `chunk` tokens a sequence, all
  // sequences side by side. After each step `visit(slot, offset, hidden)` sees the hidden rows of each sequence that
  // had tokens, `offset` being the place of the first of them in its list.
  void feed(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk,
            const std::function<void(int slot, index offset, Rows hidden)>& visit);

  // Feeds likewise; the logits [V] after the last id of each list, empty for an empty list.
  std::vector<std::vector<float>> next_logits(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk);

 private:
  // Calls visit(offset, segments, hidden) after each step.
  template <class Visit>
  void for_each_step(const std::vector<std::vector<int32_t>>& ids, State& state, index chunk, Visit&& visit);

  void read_from_disk(uint64_t weights, uint64_t available, uint64_t room);

  std::vector<int> cpus_;
  Threads threads_;
  Arena arena_;
  std::vector<std::string> warnings_;
  EngineOptions options_;
  Context context_;  // before the model: a wrong backend or target is told before gigabytes are mapped
  Model model_;
  // After the model, so that they end before the files are unmapped. One of the two.
  std::optional<Prefetch> prefetch_;
  std::optional<ReadAhead> read_ahead_;
};

// Row t of any backend as floats.
void copy_row(Rows rows, index t, float* out);

}  // namespace nemotron
