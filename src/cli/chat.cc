// `nemotron chat`: a conversation in the terminal, or through a pipe.

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>

#include "base/error.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/sampling.h"
#include "cli/screen.h"
#include "cli/tokenizer.h"
#include "cli/tools.h"
#include "engine/generate.h"
#include "text/saved_conversation.h"

namespace nemotron::cli {
namespace {

constexpr const char* kHelp =
    "  /help          this list\n"
    "  /clear         forget the conversation\n"
    "  /think LEVEL   how much the model reasons before it answers: on, off, low, medium, high, or at most N tokens\n"
    "  /system TEXT   set the system message (and forget the conversation)\n"
    "  /tools FILE    offer the functions of FILE; `/tools off` offers none, `/tools` lists them\n"
    "  /save FILE     write the conversation\n"
    "  /load FILE     go on with a saved one\n"
    "  /stats         tokens, speed, memory\n"
    "  /quit          leave (so does Ctrl-D)\n"
    "  A line that ends in \\ goes on in the next. Ctrl-C ends an answer. When the model calls a function, type what "
    "it\n"
    "  returns.\n";

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::shared_ptr<SamplingOptions> sampling;
  PromptOptions prompt;
  std::string system, tools, reasoning = "auto";
};

// A call as templates and OpenAI's API have it; some templates want ids of nine characters.
Json numbered_call(const ToolCall& call, size_t number) {
  return Json()
      .set("id", fmt::format("call{:05}", number))
      .set("type", "function")
      .set("function", Json().set("name", call.name).set("arguments", call.arguments));
}

Json reply_message(const ParsedOutput& output) {
  Json reply = message("assistant", output.content.value_or(""));
  if (output.reasoning) reply.set("reasoning_content", *output.reasoning);
  Json::Array calls;
  for (const ToolCall& call : output.tool_calls)
    if (call.complete) calls.push_back(numbered_call(call, calls.size()));
  if (!calls.empty()) reply.set("tool_calls", std::move(calls));
  return reply;
}

class Chat {
 public:
  explicit Chat(const Options& o)
      : options_(o),
        engine_(o.model->folder, o.model->engine),
        tokenizer_(open_tokenizer(o.model->folder, engine_.config())),
        prompts_(o.model->folder),
        kwargs_(parse_kwargs(o.prompt.kwargs)),
        state_(make_state(engine_.config(), engine_.state_format())) {
    std::vector<std::string> warnings = engine_.warnings();
    generation_ = resolve(*o.sampling, load_generation_config(o.model->folder, warnings), engine_.config());
    need_tokenizer(tokenizer_, o.model->folder);
    if (!prompts_.available())
      throw Error({.what = "the folder has no chat template",
                   .where = o.model->folder,
                   .hint = "a base model continues text: use `nemotron generate`"});
    print_warnings(warnings);
    set_think(o.prompt.think, "--think");
    if (!o.tools.empty()) offer(read_tools(o.tools));
    clear(o.system);
  }

  int run() {
    const bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    const bool reasoning = options_.reasoning == "auto" ? terminal : options_.reasoning == "show";
    style_ = {.colour = terminal, .reasoning = reasoning};
    if (terminal)
      fmt::print("{}: {}, {} threads. /help lists the commands.\n", options_.model->folder, engine_.config().pattern(),
                 engine_.context().threads.count());
    Input input(terminal);
    std::string text;
    for (;;) {
      const std::vector<WaitingCall> waiting = unanswered_calls(conversation_.messages);
      if (!input.read(waiting.empty() ? "> " : waiting[0].name + " returns> ", text)) return 0;
      try {
        if (text.starts_with('/') && !text.starts_with("//")) {
          if (!command(text)) return 0;
        } else if (!text.empty() || !waiting.empty()) {
          take(message(waiting.empty() ? "user" : "tool", text.starts_with("//") ? text.substr(1) : text));
        }
      } catch (const Error& e) {  // one bad line does not end a conversation in a terminal
        if (!terminal) throw;
        std::fprintf(stderr, "%s\n", e.what());
      }
    }
  }

 private:
  Json::Array& messages() { return conversation_.messages.array(); }

  void clear(const std::string& system) {
    messages().clear();
    if (!system.empty()) messages().push_back(message("system", system));
    forget();
  }

  // The state starts over; the conversation stays.
  void forget() {
    state_ = make_state(engine_.config(), engine_.state_format());
    state_.add();
    held_.clear();
  }

  // A message of the user's, or what a called function returns; the model answers when no call waits any more.
  void take(Json next) {
    const std::vector<WaitingCall> waiting = unanswered_calls(conversation_.messages);
    if (!waiting.empty()) next.set("name", waiting[0].name).set("tool_call_id", waiting[0].id);
    messages().push_back(std::move(next));
    if (waiting.size() > 1) return;
    try {
      answer();
    } catch (...) {
      messages().pop_back();
      forget();
      throw;
    }
  }

  void answer() {
    const Prompt prompt = prompts_.render(conversation_.messages, conversation_.tools, kwargs_,
                                          Effort::parse(conversation_.think, "--think"));
    GenerateOptions options = generation_;
    options.thinking_budget = prompt.thinking_budget;
    hold(tokenizer_->encode(prompt.text));
    OutputParser parser(output_style(prompt.text, kwargs_), schemas_.empty() ? nullptr : &schemas_);
    Screen screen(style_);
    const Interrupt interrupt;
    const auto show = [&](const GeneratedToken& token) {
      screen.show(parser.put(token.text));
      return !Interrupt::requested();
    };
    const Generated out = generate(engine_, &*tokenizer_, state_, held_, options, show);
    screen.show(parser.finish());
    screen.end();
    held_.insert(held_.end(), out.ids.begin(), out.ids.end() - 1);  // the last one was sampled, not fed
    messages().push_back(reply_message(parser.result()));
    prompt_tokens_ += out.prompt_tokens, prompt_seconds_ += out.prompt_seconds;
    new_tokens_ += index(out.ids.size()), new_seconds_ += out.seconds;
    if (out.finish == Finish::length)
      std::fprintf(stderr, "[ended after %zu tokens; --max-tokens allows more]\n", out.ids.size());
    for (const ToolCall& call : parser.result().tool_calls)
      if (!call.complete) std::fprintf(stderr, "[the call that was cut off is left out of the conversation]\n");
  }

  // Makes `ids` what the state goes on to hold. Ids that do not go on from what it has seen, as when the template
  // leaves old reasoning out, start over.
  void hold(std::vector<int32_t> ids) {
    if (ids.size() <= held_.size() || !std::equal(held_.begin(), held_.end(), ids.begin())) forget();
    held_ = std::move(ids);
  }

  // False for /quit.
  bool command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const size_t start = line.find_first_not_of(' ', space);
    const std::string rest = space == line.npos || start == line.npos ? "" : line.substr(start);
    if (name == "/quit" || name == "/exit") return false;
    if (name == "/help")
      std::fputs(kHelp, stdout);
    else if (name == "/clear")
      clear(options_.system);
    else if (name == "/system")
      clear(rest);
    else if (name == "/think")
      set_think(rest, "/think");
    else if (name == "/tools")
      set_tools(rest);
    else if (name == "/save")
      save(rest);
    else if (name == "/load")
      load(rest);
    else if (name == "/stats")
      stats();
    else
      throw Error({.what = "no such command", .where = name, .hint = "/help lists them; // starts a message with /"});
    std::fflush(stdout);
    return true;
  }

  void set_think(const std::string& level, const char* where) {
    const Effort effort = Effort::parse(level, where);
    prompts_.check(effort);
    conversation_.think = effort.name();
  }

  void offer(Tools tools) {
    conversation_.tools = std::move(tools.list);
    schemas_ = std::move(tools.schemas);
  }

  void set_tools(const std::string& path) {
    if (path == "off")
      offer({});
    else if (!path.empty())
      offer(read_tools(path));
    for (const std::string& name : tool_names(conversation_.tools)) fmt::print("{}\n", name);
  }

  void save(const std::string& path) {
    if (path.empty()) throw Error({.what = "a file name is missing", .where = "/save"});
    const std::string text = dump_conversation_file(conversation_);
    OutputFile file(path);
    file.write(text.data(), text.size());
    file.commit();
    fmt::print("{} messages saved\n", messages().size());
  }

  void load(const std::string& path) {
    if (path.empty()) throw Error({.what = "a file name is missing", .where = "/load"});
    SavedConversation loaded = parse_conversation_file(nemotron::read_file(path, kMostFile), path);
    ToolSchemas schemas = ToolSchemas::from_json(loaded.tools, path + ": tools");
    prompts_.check(Effort::parse(loaded.think, path));
    conversation_ = std::move(loaded);
    schemas_ = std::move(schemas);
    forget();
    fmt::print("{} messages loaded\n", messages().size());
  }

  void stats() {
    const auto rate = [](index n, double seconds) { return seconds > 0 ? double(n) / seconds : 0; };
    fmt::print("context  {} tokens, {:.1f} MiB of state\n", state_[0].position, double(state_.bytes()) / (1 << 20));
    fmt::print("read     {} tokens, {:.1f} tokens/s\n", prompt_tokens_, rate(prompt_tokens_, prompt_seconds_));
    fmt::print("written  {} tokens, {:.1f} tokens/s\n", new_tokens_, rate(new_tokens_, new_seconds_));
    fmt::print("engine   {} {}, {} threads\n", engine_.context().ops.name,
               engine_.context().ops.real == Real::f32 ? cpu_target() : "", engine_.context().threads.count());
  }

  static constexpr uint64_t kMostFile = uint64_t{64} << 20;

  const Options& options_;
  Engine engine_;
  std::optional<Tokenizer> tokenizer_;
  Prompts prompts_;
  Json kwargs_;
  State state_;
  GenerateOptions generation_;
  SavedConversation conversation_;
  ToolSchemas schemas_;  // of conversation_.tools
  Screen::Style style_;
  std::vector<int32_t> held_;  // the ids the state has seen
  index prompt_tokens_ = 0, new_tokens_ = 0;
  double prompt_seconds_ = 0, new_seconds_ = 0;
};

}  // namespace

std::function<int()> define_chat(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  app.add_option("--system", o->system, "a system message");
  add_prompt_options(app, o->prompt);
  app.add_option("--tools", o->tools, "functions that the model may call: a JSON list, as in OpenAI's API");
  app.add_option("--reasoning", o->reasoning, "show or hide the reasoning (default: shown in a terminal)")
      ->check(CLI::IsMember({"show", "hide", "auto"}));
  o->sampling = add_sampling_options(app);
  return [o] { return Chat(*o).run(); };
}

}  // namespace nemotron::cli
