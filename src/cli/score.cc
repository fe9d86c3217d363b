// `nemotron score`: how likely the model finds a text.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/ids.h"
#include "cli/options.h"
#include "cli/tokenizer.h"
#include "engine/engine.h"
#include "engine/sampler.h"

namespace nemotron::cli {
namespace {

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::string file;
  bool ids = false, tokens = false, json = false;
};

int run(const Options& o) {
  std::string text = read_file(o.file);
  Engine engine(o.model->folder, o.model->engine);
  print_warnings(engine.warnings());
  const std::optional<Tokenizer> tokenizer = open_tokenizer(o.model->folder, engine.config());
  std::vector<int32_t> ids;
  if (o.ids) {
    const IdLists lists = parse_ids(text, o.file);
    if (lists.batch) throw Error({.what = "a list of lists", .where = o.file, .expected = "one list of token ids"});
    check_ids(lists, engine.config().vocab_size, o.file);
    ids = lists.lists[0];
  } else {
    ids = need_tokenizer(tokenizer, o.model->folder).encode(text, true);
  }
  if (ids.size() < 2)
    throw Error({.what = "too short to score: the first token has nothing before it",
                 .where = o.file,
                 .expected = "at least 2 tokens",
                 .found = std::to_string(ids.size())});

  std::vector<double> logprobs;  // of ids[1], ids[2], ...
  State state = make_state(engine.config(), engine.state_format());
  state.add();
  const auto start = std::chrono::steady_clock::now();
  engine.feed({ids}, state, 256, [&](int, index offset, Rows hidden) {
    const Scratch scratch(engine.context().arena);
    const Rows rows = logits(engine.context(), engine.model(), hidden);
    std::vector<float> row(size_t(rows.cols));
    for (index t = 0; t < rows.rows && offset + t + 1 < index(ids.size()); ++t) {
      copy_row(rows, t, row.data());
      logprobs.push_back(log_probability(row, ids[size_t(offset + t + 1)]));
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  double total = 0;
  for (const double p : logprobs) total += p;
  if (std::isnan(total))
    throw Error({.what = "a logit is not a number",
                 .where = o.model->folder,
                 .hint = "the weights are damaged or overflow in this format"});
  const double mean = total / double(logprobs.size()), perplexity = std::exp(-mean),
               rate = double(ids.size()) / seconds;
  if (o.json) {
    Json::Array each(logprobs.begin(), logprobs.end()), list(ids.begin(), ids.end());
    Json result;
    result.set("tokens", int64_t(ids.size())).set("scored", int64_t(logprobs.size())).set("logprob", total);
    result.set("logprob_per_token", mean).set("perplexity", perplexity).set("tokens_per_second", rate);
    result.set("ids", std::move(list)).set("logprobs", std::move(each));
    fmt::print("{}\n", result.dump());
    return 0;
  }
  if (o.tokens) {
    for (size_t i = 0; i < logprobs.size(); ++i)
      fmt::print("{:>8} {:>10.5f}  {}\n", ids[i + 1], logprobs[i],
                 tokenizer ? json_quote(tokenizer->decode(std::span(ids).subspan(i + 1, 1))) : "");
  }
  fmt::print("tokens           {} ({} scored: the first has nothing before it)\n", ids.size(), logprobs.size());
  fmt::print("log-probability  {:.6f} in all, {:.6f} per token (nats)\n", total, mean);
  fmt::print("perplexity       {:.4f}\n", perplexity);
  fmt::print("tokens/s         {:.1f}\n", rate);
  return 0;
}

}  // namespace

std::function<int()> define_score(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  app.add_option("FILE", o->file, "text to score; - for standard input")->required();
  app.add_flag("--ids", o->ids, "FILE is a JSON list of token ids");
  app.add_flag("--tokens", o->tokens, "also every token: id, log-probability, text");
  app.add_flag("--json", o->json, "everything as one JSON object");
  return [o] { return run(*o); };
}

}  // namespace nemotron::cli
