// Computes a Study: the model on its machine and on every other, what would make it fit, and the comparison.

#include "plan/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/figures.h"

namespace nemotron {
namespace {

constexpr uint64_t kMostMachines = uint64_t{1} << 20;

// So many machines that share weights, caches and activations evenly.
uint64_t machines_needed(const Memory& memory, double capacity) {
  const double n = std::ceil(memory.total().real() / capacity);
  return n >= 1 && n <= double(kMostMachines) ? uint64_t(n) : 0;
}

void add_remedy(std::vector<Remedy>& out, const char* key, std::string what, const Architecture& a, const Workload& w,
                const Machine& m, const MemoryOf& memory, uint64_t value = 0) {
  const Memory taken = memory(a, w);
  out.push_back({key, std::move(what), value, taken, taken.total().real() <= m.capacity});
}

// Each single change, then all changes of format at once, then less work, then more machines.
std::vector<Remedy> find_remedies(const Subject& s, const OnMachine& at, const MemoryOf& memory) {
  std::vector<Remedy> out;
  const Architecture& a = s.architecture;
  const Machine& m = at.machine;
  std::optional<Architecture> smallest;
  for (const auto& [weights, key, name] : {std::tuple("fp8", "weights_fp8", "weights in FP8"),
                                           std::tuple("mixed", "weights_mixed", "weights mixed of NVFP4, FP8 and BF16"),
                                           std::tuple("nvfp4", "weights_nvfp4", "weights in NVFP4")}) {
    std::optional<Architecture> other = s.stored_as ? s.stored_as(weights) : std::nullopt;
    if (!other || weight_bytes(*other, true) >= weight_bytes(a, true)) continue;
    add_remedy(out, key, name, *other, at.workload, m, memory);
    if (!smallest || weight_bytes(*other, true) < weight_bytes(*smallest, true)) smallest = std::move(other);
  }
  Workload small = at.workload;
  const CacheFormats& f = at.workload.formats;
  if (!a.attention.empty() && f.kv != NumberFormat::fp8) {
    small.formats.kv = NumberFormat::fp8;
    Workload w = at.workload;
    w.formats.kv = NumberFormat::fp8;
    add_remedy(out, "kv_fp8", "keys and values in FP8", a, w, m, memory);
  }
  if (!a.recurrent.empty() && f.state == NumberFormat::f32) {
    small.formats.state = NumberFormat::f16;
    Workload w = at.workload;
    w.formats.state = NumberFormat::f16;
    add_remedy(out, "state_f16", "states in F16", a, w, m, memory);
  }
  const Architecture& least = smallest ? *smallest : a;
  if (out.size() > 1) add_remedy(out, "all_formats", "the smallest of all these formats", least, small, m, memory);

  const auto with_batch = [&](const char* key, const char* how, const Architecture& of, Workload w) {
    const uint64_t batch = largest_batch(of, w, m.capacity, memory);
    if (batch == 0 || batch >= w.batch) return;
    w.batch = batch;
    add_remedy(out, key, fmt::format("a batch of {}{}", grouped(batch), how), of, w, m, memory, batch);
  };
  const auto with_context = [&](const char* key, const char* how, const Architecture& of, Workload w) {
    const uint64_t context = longest_context(of, w, m.capacity, memory);
    if (context == 0 || context >= w.context) return;
    w.context = context;
    add_remedy(out, key, fmt::format("a context of {} tokens{}", grouped(context), how), of, w, m, memory, context);
  };
  with_batch("batch", "", a, at.workload);
  with_context("context", "", a, at.workload);
  if (at.workload.batch != 1 || smallest) {
    with_batch("batch_all_formats", ", in the smallest formats", least, small);
    with_context("context_all_formats", ", in the smallest formats", least, small);
  }
  if (at.machines_needed > 1) {
    add_remedy(out, "machines", fmt::format("{} such machines", grouped(at.machines_needed)), a, at.workload,
               times(m, at.machines_needed), memory, at.machines_needed);
  }
  return out;
}

CacheComparison compare_caches(const Subject& s, const Subject& other) {
  CacheFormatsOfTwo f;
  f.kv = NumberFormat::bf16;
  f.a = s.deployed;
  f.b = other.deployed;
  f.a.state = f.b.state = NumberFormat::f32;
  CacheComparison out{other.architecture.name, {}, crossings(s.architecture, other.architecture, f)};
  f.count_b = false;
  out.keys_and_values = crossings(s.architecture, other.architecture, f);
  return out;
}

// ---- served ----

std::string formats_text(const std::string& weights, const Subject& s, const CacheFormats& f) {
  std::string out = fmt::format("weights {}, KV {}", weights, format_name(f.kv));
  if (!s.architecture.recurrent.empty()) out += fmt::format(", state {}", format_name(f.state));
  return out;
}

Served serve(const Architecture& a, const CacheFormats& formats, const ServedComparison& c, uint64_t count) {
  const Machine m = times(c.machine, count);
  Workload w{
      .context = c.in + c.out / 2, .batch = 1, .prefill_chunk = kDeployedChunk, .formats = formats, .with_mtp = false};
  Served out;
  out.machines = count;
  out.batch = largest_batch(a, w, m.capacity);
  if (out.batch == 0) return out;
  w.batch = out.batch;
  const double step = decode_step(a, w, m).seconds();
  const double share = step / double(out.batch);  // of all machines' time, a token
  Workload prompt = w;
  prompt.context = c.in;
  prompt.batch = 1;
  const double prompt_seconds = prefill(a, prompt, m).seconds;
  out.decode_rate = 1 / share / double(count);
  out.rate = double(c.out) / (double(c.out) * share + prompt_seconds) / double(count);
  return out;
}

// The fewest machines that hold one sequence of a model.
uint64_t fewest(const Architecture& a, const CacheFormats& formats, const ServedComparison& c) {
  for (uint64_t n = 1; n <= 1024; n *= 2)
    if (serve(a, formats, c, n).batch > 0) return n;
  return 1024;
}

// What NVIDIA's report claims of Super (arXiv 2604.12374, figure 1).
std::optional<double> claim(const Subject& s, const std::string& other) {
  if (parameters(s.architecture).total != Count(120'668'707'840)) return {};
  if (other == "GPT-OSS-120B") return 2.2;
  if (other == "Qwen3.5-122B-A10B") return 7.5;
  return {};
}

ServedComparison compare_served(const Subject& s, const std::vector<Subject>& against, const Machine& machine) {
  ServedComparison out;
  out.machine = machine;
  struct Row {
    const Subject* subject;
    Architecture architecture;
    std::string formats;
    CacheFormats caches;
    std::optional<double> claimed;
  };
  std::vector<Row> rows;
  const auto add = [&](const Subject& of, const Architecture& a, const std::string& weights, CacheFormats f,
                       bool paper) {
    rows.push_back(
        {&of, a, formats_text(weights, of, f), f, paper && &of != &s ? claim(s, of.architecture.name) : std::nullopt});
  };
  add(s, s.architecture, s.weights, s.deployed, true);
  if (!s.architecture.recurrent.empty() && s.deployed.state == NumberFormat::f32) {
    CacheFormats f = s.deployed;
    f.state = NumberFormat::f16;
    add(s, s.architecture, s.weights, f, true);
  }
  out.subjects = rows.size();
  for (const Subject& o : against) {
    add(o, o.architecture, o.weights, o.deployed, true);
    const bool bf16 = std::all_of(o.architecture.weights.begin(), o.architecture.weights.end(),
                                  [](const WeightGroup& g) { return g.format == NumberFormat::bf16; });
    if (!bf16 || !o.stored_as) continue;
    CacheFormats f = o.deployed;
    f.kv = NumberFormat::fp8;
    if (const auto a = o.stored_as("fp8")) add(o, *a, "FP8", f, false);
  }
  uint64_t count = 1;
  for (const Row& row : rows) count = std::max(count, fewest(row.architecture, row.caches, out));
  // On one machine, on the fewest that hold every model, and on a board of eight.
  for (const uint64_t n : {uint64_t{1}, count, std::max<uint64_t>(count, 8)}) {
    if (!out.tables.empty() && out.tables.back()[0].machines == n) continue;
    std::vector<Served>& table = out.tables.emplace_back();
    for (const Row& row : rows) {
      Served served = serve(row.architecture, row.caches, out, n);
      served.model = row.subject->architecture.label;
      served.formats = row.formats;
      served.claimed = row.claimed;
      table.push_back(std::move(served));
    }
  }
  return out;
}

}  // namespace

Workload deployed_workload(const Subject& s, uint64_t context, uint64_t batch) {
  return {.context = context, .batch = batch, .prefill_chunk = kDeployedChunk, .formats = s.deployed};
}

OnMachine on_machine(const Subject& s, const Workload& w, const Machine& m, const MemoryOf& memory,
                     bool with_remedies) {
  OnMachine at;
  at.machine = m;
  at.workload = w;
  at.memory = memory(s.architecture, w);
  at.fits = at.memory.total().real() <= m.capacity;
  at.largest_batch = largest_batch(s.architecture, w, m.capacity, memory);
  at.longest_context = longest_context(s.architecture, w, m.capacity, memory);
  at.machines_needed = machines_needed(at.memory, m.capacity);
  at.decode = decode_step(s.architecture, w, m);
  at.prefill = prefill(s.architecture, w, m);
  at.compute_bound_batch = compute_bound_batch(s.architecture, w, m);
  if (with_remedies && !at.fits) at.remedies = find_remedies(s, at, memory);
  return at;
}

Study make_study(StudyOptions options) {
  Study study;
  study.options = std::move(options);
  const StudyOptions& o = study.options;
  study.workload = deployed_workload(o.subject, o.context, o.batch);
  const Machine b200 = *find_machine("B200");
  if (o.machine) {
    MemoryOf memory = deployment_memory;
    if (o.machine->own && o.resident) {
      memory = *o.resident;
      study.workload.prefill_chunk = kOwnChunk;
      study.workload.formats = o.subject.own;
    }
    study.chosen = on_machine(o.subject, study.workload, *o.machine, memory, true);
  }
  for (const Machine& m : machines())
    study.machines.push_back(
        on_machine(o.subject, deployed_workload(o.subject, o.context, o.batch), m, deployment_memory, false));
  const Machine reference = o.machine && !o.machine->own ? *o.machine : b200;
  for (const Subject& other : o.against.empty() ? o.caches_against : o.against)
    study.caches.push_back(compare_caches(o.subject, other));
  if (o.against.empty()) return study;
  const auto beside = [&](const Subject& s) {
    study.side_by_side.push_back(
        on_machine(s, deployed_workload(s, o.context, o.batch), reference, deployment_memory, false));
  };
  beside(o.subject);
  for (const Subject& other : o.against) beside(other);
  study.served = compare_served(o.subject, o.against, reference);
  return study;
}

}  // namespace nemotron
