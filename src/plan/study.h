// Study: all figures of one plan, computed once for the text, the JSON and the drawings.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace nemotron {

// A model as it is to be served.
struct Subject {
  Architecture architecture;
  std::string weights;    // "NVFP4 as released"
  CacheFormats deployed;  // on a machine whose program is not ours
  CacheFormats own;       // in our own engine
  // The same model with its weights stored as bf16, fp8, nvfp4 or mixed; nothing where that cannot be.
  std::function<std::optional<Architecture>(const std::string& weights)> stored_as;
};

struct StudyOptions {
  Subject subject;
  std::vector<Subject> against;         // for every comparison
  std::vector<Subject> caches_against;  // for that of the caches alone, where `against` is empty
  uint64_t context = 8192, batch = 1;
  std::optional<Machine> machine;    // none: every machine of the table, and B200 where one is needed
  std::optional<MemoryOf> resident;  // what our own program takes; used on a machine that is `own`
};

// One way out of not fitting.
struct Remedy {
  std::string key;     // "weights_nvfp4", "kv_fp8", "state_f16", "all_formats", "batch", "context", "machines"
  std::string what;    // "weights in NVFP4"
  uint64_t value = 0;  // of batch, context and machines
  Memory memory;
  bool fits = false;
};

// A model on a machine.
struct OnMachine {
  Machine machine;
  Workload workload;
  Memory memory;
  bool fits = false;
  uint64_t largest_batch = 0, longest_context = 0, machines_needed = 0;  // 0: none does
  Work decode;
  Prefill prefill;
  std::optional<uint64_t> compute_bound_batch;
  std::vector<Remedy> remedies;  // where it does not fit

  double decode_tokens_per_second() const { return decode.tokens / decode.seconds(); }
  double prefill_tokens_per_second() const { return prefill.work.tokens / prefill.seconds; }
};

// The contexts at which the model's cache and another's are equal.
struct CacheComparison {
  std::string other;
  std::vector<Crossing> keys_and_values;  // the other's own state not counted
  std::vector<Crossing> all_counted;
};

// Output tokens a second of a served model: prompts of `in` tokens, answers of `out`.
struct Served {
  std::string model, formats;
  uint64_t machines = 0, batch = 0;
  double decode_rate = 0;         // tokens a second and machine, decode alone
  double rate = 0;                // with the prompts' time
  std::optional<double> claimed;  // how many times faster the subject is said to be
};
struct ServedComparison {
  uint64_t in = 8192, out = 65536;
  Machine machine;
  size_t subjects = 0;  // rows of the subject itself, which come first: state in float32, and in float16
  std::vector<std::vector<Served>> tables;  // one for each number of machines
};

struct Study {
  StudyOptions options;
  Workload workload;                // of the subject, where it is planned
  std::optional<OnMachine> chosen;  // on options.machine
  std::vector<OnMachine> machines;  // on each of the table, in deployment formats
  std::vector<CacheComparison> caches;
  std::vector<OnMachine> side_by_side;  // the subject and options.against, on one machine
  std::optional<ServedComparison> served;
};

Study make_study(StudyOptions options);

OnMachine on_machine(const Subject& subject, const Workload& workload, const Machine& machine, const MemoryOf& memory,
                     bool with_remedies);

// The workload of a subject in its deployment formats.
Workload deployed_workload(const Subject& subject, uint64_t context, uint64_t batch);

constexpr uint64_t kOwnChunk = 512,
                   kDeployedChunk = 8192;  // tokens of a prefill pass: of our engine, assumed of others

// ---- showing ----

std::string text_of(const Study& study);
std::string json_of(const Study& study);  // one object and a line feed

}  // namespace nemotron
