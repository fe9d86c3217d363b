// `nemotron generate`: one answer to one prompt, as text, events or token ids.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/ids.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/sampling.h"
#include "cli/tokenizer.h"
#include "engine/generate.h"

namespace nemotron::cli {
namespace {

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::shared_ptr<SamplingOptions> sampling;
  std::string prompt, ids, system, think = "on";
  bool raw = false, json = false;
  index logprobs = 0;
};

// TEXT itself, the contents of FILE for "@FILE", standard input for "-".
std::string argument_text(const std::string& argument) {
  if (argument == "-") return read_file("-");
  return argument.starts_with('@') ? read_file(argument.substr(1)) : argument;
}

std::vector<int32_t> given_ids(const Options& o, const Config& config) {
  const bool file = o.ids.starts_with('@');
  const std::string where = file ? o.ids.substr(1) : "--ids";
  const IdLists lists = file ? read_ids(where) : parse_ids(o.ids, where);
  if (lists.batch)
    throw Error({.what = "a list of lists",
                 .where = where,
                 .expected = "one list of token ids",
                 .hint = "`logits` takes batches"});
  check_ids(lists, config.vocab_size, where);
  return lists.lists[0];
}

std::string prompt_text(const Options& o) {
  const std::string text = argument_text(o.prompt);
  if (o.raw) return text;
  const Prompts prompts(o.model->folder);
  if (!prompts.available()) {
    if (!o.system.empty())
      throw Error({.what = "--system needs a chat template, which the folder does not have",
                   .where = o.model->folder,
                   .hint = "put all of the text into -p"});
    return text;
  }
  Json messages(Json::Array{});
  if (!o.system.empty()) messages.array().push_back(message("system", o.system));
  messages.array().push_back(message("user", text));
  return prompts.render(messages, think_kwargs(o.think));
}

Json event(const GeneratedToken& token) {
  Json e;
  e.set("event", token.id < 0 ? "text" : "token");
  if (token.id >= 0) e.set("id", token.id);
  e.set("text", token.text);
  if (!token.top.empty()) {
    e.set("logprob", token.logprob);
    Json::Array top;
    for (const auto& [id, logprob] : token.top) top.push_back(Json().set("id", id).set("logprob", logprob));
    e.set("top", std::move(top));
  }
  return e;
}

void print_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

Json summary(const Generated& g) {
  Json e;
  e.set("event", "end").set("reason", finish_name(g.finish)).set("text", g.text);
  e.set("ids", Json::Array(g.ids.begin(), g.ids.end()));
  e.set("prompt_tokens", g.prompt_tokens).set("tokens", int64_t(g.ids.size()));
  e.set("prompt_tokens_per_second", double(g.prompt_tokens) / g.prompt_seconds);
  // The first token comes with the prompt; the others take a step each.
  if (g.ids.size() > 1) e.set("tokens_per_second", double(g.ids.size() - 1) / g.seconds);
  return e;
}

int run(const Options& o) {
  if (o.prompt.empty() == o.ids.empty())
    throw Error({.what = "one of -p and --ids must be given", .found = o.ids.empty() ? "neither" : "both"});
  Engine engine(o.model->folder, o.model->engine);
  std::vector<std::string> warnings = engine.warnings();
  const GenerationConfig defaults = load_generation_config(o.model->folder, warnings);
  GenerateOptions options = resolve(*o.sampling, defaults, engine.config());
  options.logprobs = o.logprobs;
  const std::optional<Tokenizer> tokenizer = open_tokenizer(o.model->folder, engine.config());
  const std::vector<int32_t> prompt = o.ids.empty()
                                          ? need_tokenizer(tokenizer, o.model->folder).encode(prompt_text(o), o.raw)
                                          : given_ids(o, engine.config());
  print_warnings(warnings);

  const Interrupt interrupt;
  State state = make_state(engine.config(), engine.state_format());
  state.add();
  const bool text = o.ids.empty() && !o.json;
  const Generated out =
      generate(engine, tokenizer ? &*tokenizer : nullptr, state, prompt, options, [&](const GeneratedToken& token) {
        if (o.json) {
          print_line(event(token).dump());
        } else if (text) {
          std::fwrite(token.text.data(), 1, token.text.size(), stdout);
          std::fflush(stdout);
          if (!token.top.empty()) {
            std::string line = fmt::format("{} {:.6f}", token.id, token.logprob);
            for (const auto& [id, logprob] : token.top)
              line += fmt::format("  {}:{} {:.6f}", id, json_quote(tokenizer->decode({&id, 1})), logprob);
            std::fprintf(stderr, "%s\n", line.c_str());
          }
        }
        return !Interrupt::requested();
      });
  if (o.json)
    print_line(summary(out).dump());
  else if (text)
    print_line("");
  else
    print_line(Json(Json::Array(out.ids.begin(), out.ids.end())).dump());
  return out.finish == Finish::interrupted ? 130 : 0;
}

}  // namespace

std::function<int()> define_generate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  app.add_option("-p,--prompt", o->prompt,
                 "TEXT, @FILE, or - for standard input; a user's message where the folder has a chat template");
  app.add_flag("--raw", o->raw, "the prompt is the text itself, to be continued");
  app.add_option("--ids", o->ids, "token ids in place of text: JSON or @FILE; prints the new ids as one JSON list");
  app.add_option("--system", o->system, "a system message before the prompt");
  add_think_option(app, o->think);
  app.add_flag("--json", o->json, "one JSON event a line: token, ..., end");
  app.add_option("--logprobs", o->logprobs,
                 "also the K most likely tokens at each place (on standard error without --json)")
      ->check(CLI::Range(0, 1000));
  o->sampling = add_sampling_options(app);
  return [o] { return run(*o); };
}

}  // namespace nemotron::cli
