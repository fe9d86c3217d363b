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
#include "cli/screen.h"
#include "cli/tokenizer.h"
#include "cli/tools.h"
#include "engine/generate.h"

namespace nemotron::cli {
namespace {

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::shared_ptr<SamplingOptions> sampling;
  PromptOptions chat;
  std::string prompt, ids, system, tools;
  bool raw = false, json = false;
  index logprobs = 0;
  int samples = 1;
};

// What the model is given, and how its output is read.
struct Start {
  std::vector<int32_t> ids;
  std::optional<index> thinking_budget = {};
  std::optional<OutputStyle> style = {};  // empty: plain text
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

// A prompt that goes through the chat template.
Start chat_start(const Options& o, const Prompts& prompts, const Tools& tools, const Tokenizer& tokenizer) {
  Json messages(Json::Array{});
  if (!o.system.empty()) messages.array().push_back(message("system", o.system));
  messages.array().push_back(message("user", argument_text(o.prompt)));
  const Json kwargs = parse_kwargs(o.chat.kwargs);
  const Prompt prompt = prompts.render(messages, tools.list, kwargs, Effort::parse(o.chat.think, "--think"));
  return {tokenizer.encode(prompt.text), prompt.thinking_budget, output_style(prompt.text, kwargs)};
}

// A text or ids that the model simply continues; a budget then bounds any thought that it is in, or begins with.
Start plain_start(const Options& o, const std::optional<Tokenizer>& tokenizer, const Config& config) {
  const Effort effort = Effort::parse(o.chat.think, "--think");
  if (!o.system.empty() || !o.tools.empty() || !o.chat.kwargs.empty() ||
      (effort.level != Effort::Level::unset && !effort.budget))
    throw Error({.what = "--system, --tools, --kwargs and --think need a chat template",
                 .where = o.ids.empty() && !o.raw ? o.model->folder
                          : o.raw                 ? "--raw"
                                                  : "--ids",
                 .hint = "put all of the text into -p; --think N still bounds a thought"});
  if (!o.ids.empty()) return {given_ids(o, config), effort.budget};
  return {need_tokenizer(tokenizer, o.model->folder).encode(argument_text(o.prompt), o.raw), effort.budget};
}

void print_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

// The two other ways to see the likeliest tokens: on standard error, and in an event.
void print_probabilities(const GeneratedToken& token, const Tokenizer& tokenizer) {
  std::string line = fmt::format("{} {:.6f}", token.id, token.logprob);
  for (const auto& [id, logprob] : token.top)
    line += fmt::format("  {}:{} {:.6f}", id, json_quote(tokenizer.decode({&id, 1})), logprob);
  std::fprintf(stderr, "%s\n", line.c_str());
}

// Prints one run's output in one of the forms that the command has.
class Output {
 public:
  Output(const Options& o, const Start& start, const Tools& tools, const Tokenizer* tokenizer)
      : options_(o), tokenizer_(tokenizer) {
    for (int i = 0; i < o.samples && start.style; ++i)
      parsers_.emplace_back(*start.style, tools.schemas.empty() ? nullptr : &tools.schemas);
    // A single text is shown as it comes. It is what the model writes, but for calls, where tools are offered.
    streams_ = o.samples == 1 && o.ids.empty() && !o.json;
    calls_ = !parsers_.empty() && !tools.schemas.empty();
    if (streams_ && calls_) screen_.emplace(kStyle);
  }

  void token(const GeneratedToken& t) {
    if (options_.json) print_line(event(t).dump());
    const auto deltas = parsers_.empty() ? std::vector<OutputDelta>() : parsers_[size_t(t.sample)].put(t.text);
    if (!streams_) return;
    if (screen_)
      screen_->show(deltas);
    else
      std::fwrite(t.text.data(), 1, t.text.size(), stdout);
    std::fflush(stdout);
    if (!t.top.empty()) print_probabilities(t, *tokenizer_);
  }

  void end(const std::vector<Generated>& all) {
    for (OutputParser& parser : parsers_) {
      const auto deltas = parser.finish();
      if (screen_) screen_->show(deltas);
    }
    if (options_.json) {
      for (size_t i = 0; i < all.size(); ++i) print_line(summary(all[i], i).dump());
    } else if (!options_.ids.empty()) {
      Json::Array lists;
      for (const Generated& g : all) lists.push_back(Json::Array(g.ids.begin(), g.ids.end()));
      print_line(all.size() == 1 ? lists[0].dump() : Json(std::move(lists)).dump());
    } else if (screen_) {
      screen_->end();
    } else if (streams_) {
      print_line("");
    } else {
      for (size_t i = 0; i < all.size(); ++i) print_sample(all[i], i);
    }
  }

 private:
  Json event(const GeneratedToken& token) const {
    Json e;
    e.set("event", token.id < 0 ? "text" : "token");
    if (options_.samples > 1) e.set("sample", token.sample);
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

  Json summary(const Generated& g, size_t sample) const {
    Json e;
    e.set("event", "end");
    if (options_.samples > 1) e.set("sample", int64_t(sample));
    e.set("reason", finish_name(g.finish)).set("text", g.text);
    if (!parsers_.empty()) {
      const Json parsed = output_json(parsers_[sample].result());
      for (const auto& [name, value] : parsed.object()) e.set(name, value);
    }
    e.set("ids", Json::Array(g.ids.begin(), g.ids.end()));
    e.set("prompt_tokens", g.prompt_tokens).set("tokens", int64_t(g.ids.size()));
    e.set("prompt_tokens_per_second", double(g.prompt_tokens) / g.prompt_seconds);
    // The first token comes with the prompt; the others take a step each.
    if (g.ids.size() > 1) e.set("tokens_per_second", double(g.ids.size() - 1) / g.seconds);
    return e;
  }

  void print_sample(const Generated& g, size_t sample) const {
    print_line(fmt::format("=== sample {} of {}", sample + 1, options_.samples));
    if (!calls_) return print_line(g.text);
    Screen screen(kStyle);
    screen.show(deltas_of(parsers_[sample].result()));
    screen.end();
  }

  static inline const Screen::Style kStyle = {.after_reasoning = "</think>"};

  const Options& options_;
  const Tokenizer* tokenizer_;
  std::vector<OutputParser> parsers_;  // one a sample, where the output is a message
  bool calls_ = false;                 // may be in it
  bool streams_ = false;
  std::optional<Screen> screen_;
};

int run(const Options& o) {
  if (o.prompt.empty() == o.ids.empty())
    throw Error({.what = "one of -p and --ids must be given", .found = o.ids.empty() ? "neither" : "both"});
  const Tools tools = o.tools.empty() ? Tools() : read_tools(o.tools);
  Engine engine(o.model->folder, o.model->engine);
  std::vector<std::string> warnings = engine.warnings();
  const GenerationConfig defaults = load_generation_config(o.model->folder, warnings);
  GenerateOptions options = resolve(*o.sampling, defaults, engine.config());
  options.logprobs = o.logprobs;
  const std::optional<Tokenizer> tokenizer = open_tokenizer(o.model->folder, engine.config());
  const Prompts prompts(o.model->folder);
  const bool chat = o.ids.empty() && !o.raw && prompts.available();
  const Start start = chat ? chat_start(o, prompts, tools, need_tokenizer(tokenizer, o.model->folder))
                           : plain_start(o, tokenizer, engine.config());
  options.thinking_budget = start.thinking_budget;
  print_warnings(warnings);

  const Interrupt interrupt;
  State state = make_state(engine.config(), engine.state_format());
  state.add();
  const Tokenizer* decoder = tokenizer ? &*tokenizer : nullptr;
  Output output(o, start, tools, decoder);
  const std::vector<Generated> all =
      generate_samples(engine, decoder, state, start.ids, options, o.samples, [&](const GeneratedToken& token) {
        output.token(token);
        return !Interrupt::requested();
      });
  output.end(all);
  return Interrupt::requested() ? 130 : 0;
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
  add_prompt_options(app, o->chat);
  app.add_option("--tools", o->tools, "functions that the model may call: a JSON list, as in OpenAI's API");
  app.add_option("-n,--samples", o->samples, "answers, side by side; number i (from 0) is what the seed i higher gives")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--json", o->json, "one JSON event a line: token, ..., end");
  app.add_option("--logprobs", o->logprobs,
                 "also the K most likely tokens at each place (on standard error without --json)")
      ->check(CLI::Range(0, 1000));
  o->sampling = add_sampling_options(app);
  return [o] { return run(*o); };
}

}  // namespace nemotron::cli
