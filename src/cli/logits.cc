// `nemotron logits`: logits, hidden states, drafts and states of token lists, as a safetensors file.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/ids.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "io/state_file.h"

namespace nemotron::cli {
namespace {

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::string ids, out, save_state, load_state;
  index chunk = 512, mtp = 0;  // 0: all at once
  bool states = false;
};

// What is computed for one sequence.
struct Result {
  std::vector<float> logits, hidden;    // [T, V], [T, H]
  std::vector<std::vector<float>> mtp;  // depth d+1: [max(0, T-1-d), V]
};

void append(std::vector<float>& out, Rows rows) {
  const size_t old = out.size();
  out.resize(old + size_t(rows.rows * rows.cols));
  for (index t = 0; t < rows.rows; ++t) copy_row(rows, t, out.data() + old + size_t(t * rows.cols));
}

// Teacher-forced drafts of one sequence: depth d at position p sees the depth before (the model for d = 1) at p and the
// token p + d. `hidden` [T, H] is the model's, in the backend's numbers.
std::vector<std::vector<float>> drafts(Engine& engine, std::span<const int32_t> ids, Rows hidden, index depths,
                                       index chunk) {
  Context& ctx = engine.context();
  std::vector<std::vector<float>> all;
  Rows before = hidden;
  for (index d = 1; d <= depths; ++d) {
    State state = make_mtp_state(engine.config(), engine.state_format());
    state.add();
    const index T = std::max<index>(0, index(ids.size()) - d);
    const Rows after = ctx.arena.rows(ctx.ops.real, T, engine.config().hidden_size);
    std::vector<float>& out = all.emplace_back();
    for (index t = 0; t < T; t += chunk) {
      const Scratch scratch(ctx.arena);
      const index n = std::min(chunk, T - t);
      const Segment all_rows{0, n, 0};
      const Rows m = mtp_forward(ctx, engine.model(), before.row_range(t, t + n), ids.subspan(size_t(t + d), size_t(n)),
                                 {&all_rows, 1}, state);
      std::memcpy(after.row_range(t, t + n).data, m.data, size_t(n * m.cols) * real_size(m.real));
      append(out, logits(ctx, engine.model(), m));
    }
    before = after;
  }
  return all;
}

// A state goes on in its own format; options that ask for another one are not overruled in silence.
void check_format(const EngineOptions& asked, const StateFormat& stored, const std::string& file) {
  const auto check = [&](const char* option, bool same) {
    if (!same)
      throw Error({.what = "the saved state was made with another value of this option",
                   .where = std::string(option) + " with --load-state " + file,
                   .hint = "leave the option out: the state brings it along"});
  };
  check("--kv", asked.kv.value_or(stored.kv) == stored.kv);
  check("--state", asked.ssm.value_or(stored.ssm) == stored.ssm);
  check("--state-seed", asked.state_seed.value_or(stored.seed) == stored.seed);
}

State starting_state(Engine& engine, const Options& o, size_t sequences) {
  if (o.load_state.empty()) {
    State state = make_state(engine.config(), engine.state_format());
    for (size_t i = 0; i < sequences; ++i) state.add();
    return state;
  }
  State state = load_state(o.load_state, engine.model(), engine.context().ops.real);
  check_format(o.model->engine, state.format(), o.load_state);
  if (size_t(state.size()) != sequences)
    throw Error({.what = "the saved state has another number of sequences",
                 .where = o.load_state,
                 .expected = fmt::format("{}, as in {}", sequences, o.ids),
                 .found = std::to_string(state.size())});
  return state;
}

int run(const Options& o) {
  const IdLists lists = read_ids(o.ids);
  EngineOptions options = o.model->engine;
  Engine engine(o.model->folder, options);
  print_warnings(engine.warnings());
  const Config& c = engine.config();
  check_ids(lists, c.vocab_size, o.ids);
  if (o.mtp > 0 && !engine.model().weights.mtp)
    throw Error({.what = "the model has no MTP block", .where = o.model->folder, .hint = "leave --mtp out"});
  if (o.mtp > 0 && !o.load_state.empty())
    throw Error({.what = "drafts need the hidden states of the whole sequence, which a saved state does not hold",
                 .where = "--mtp with --load-state",
                 .hint = "run the whole sequence, or leave one of the two out"});

  State state = starting_state(engine, o, lists.lists.size());
  const index chunk = o.chunk > 0 ? o.chunk : index{1} << 40;
  std::vector<Result> results(lists.lists.size());
  Context& ctx = engine.context();
  std::vector<Rows> hidden;  // kept whole for the drafts, ahead of the scratch of each step
  if (o.mtp > 0)
    for (const auto& ids : lists.lists)
      hidden.push_back(ctx.arena.rows(ctx.ops.real, index(ids.size()), c.hidden_size));
  engine.feed(lists.lists, state, chunk, [&](int slot, index offset, Rows rows) {
    Result& r = results[size_t(slot)];
    append(r.hidden, rows);
    if (o.mtp > 0) {
      const Rows to = hidden[size_t(slot)].row_range(offset, offset + rows.rows);
      std::memcpy(to.data, rows.data, size_t(rows.rows * rows.cols) * real_size(rows.real));
    }
    const Scratch scratch(ctx.arena);
    append(r.logits, logits(ctx, engine.model(), rows));
  });
  for (size_t s = 0; s < hidden.size(); ++s) results[s].mtp = drafts(engine, lists.lists[s], hidden[s], o.mtp, chunk);

  std::vector<TensorData> tensors;
  std::vector<OwnedTensor> states;
  for (size_t s = 0; s < results.size(); ++s) {
    const std::string p = lists.batch ? fmt::format("{}.", s) : "";
    const auto T = index(lists.lists[s].size());
    tensors.push_back({p + "logits", Dtype::f32, {T, c.vocab_size}, results[s].logits.data()});
    tensors.push_back({p + "hidden", Dtype::f32, {T, c.hidden_size}, results[s].hidden.data()});
    for (index d = 1; d <= o.mtp; ++d)
      tensors.push_back({fmt::format("{}mtp.{}", p, d),
                         Dtype::f32,
                         {std::max<index>(0, T - d), c.vocab_size},
                         results[s].mtp[size_t(d - 1)].data()});
    if (o.states)
      for (OwnedTensor& t : state_tensors(state, int(s), engine.model(), p, true)) states.push_back(std::move(t));
  }
  for (const OwnedTensor& t : states) tensors.push_back({t.name, t.dtype, t.shape, t.bytes.data()});
  write_safetensors(o.out, tensors);
  if (!o.save_state.empty()) save_state(o.save_state, state, engine.model());
  return 0;
}

}  // namespace

std::function<int()> define_logits(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  o->model->engine.exact = true;  // what is compared with other implementations is not rounded
  app.add_flag_callback(
         "--fast", [o] { o->model->engine.exact = false; },
         "activations of NVFP4 weights in int8, as every other command has them without --exact")
      ->excludes("--exact");
  app.add_option("--ids", o->ids, "JSON file: a list of token ids, or a list of such lists, which run as one batch")
      ->required();
  app.add_option("--out", o->out, "safetensors file to write: logits [T, V], hidden [T, H]")->required();
  app.add_option("--mtp", o->mtp, "also mtp.1 ... mtp.D: teacher-forced drafts")->check(CLI::Range(0, 64));
  app.add_flag("--states", o->states, "also the final state of each layer");
  const std::map<std::string, index> all = {{"all", 0}};
  app.add_option("--chunk", o->chunk, "prefill in pieces of N tokens, or all at once: `all` (the result is the same)")
      ->transform(CLI::Transformer(all))
      ->check(CLI::Range(0, 1 << 24));
  app.add_option("--save-state", o->save_state, "write the state after the last token");
  app.add_option("--load-state", o->load_state, "go on from a saved state");
  return [o] { return run(*o); };
}

}  // namespace nemotron::cli
