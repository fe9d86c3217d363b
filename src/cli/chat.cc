// `nemotron chat`: a conversation in the terminal, or through a pipe.

#include <editline/readline.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/sampling.h"
#include "cli/tokenizer.h"
#include "engine/generate.h"
#include "text/reasoning.h"

namespace nemotron::cli {
namespace {

constexpr const char* kHelp =
    "  /help              this list\n"
    "  /clear             forget the conversation\n"
    "  /think on|off|low  how much the model reasons before it answers\n"
    "  /system TEXT       set the system message (and forget the conversation)\n"
    "  /save FILE         write the conversation\n"
    "  /load FILE         go on with a saved one\n"
    "  /stats             tokens, speed, memory\n"
    "  /quit              leave (so does Ctrl-D)\n"
    "  A line that ends in \\ goes on in the next. Ctrl-C ends an answer.\n";
constexpr const char* kFileFormat = "nemotron-conversation-1";

struct Options {
  std::shared_ptr<ModelOptions> model;
  std::shared_ptr<SamplingOptions> sampling;
  std::string system, think = "on", reasoning = "auto";
};

// Reads lines: with editing and history in a terminal, plainly from a pipe.
class Input {
 public:
  explicit Input(bool terminal) : terminal_(terminal) {
    if (!terminal_) return;
    // libedit splits what is typed into characters by the locale; one without multi-byte characters gives way to UTF-8.
    if (!std::setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    const char* home = std::getenv("HOME");
    if (home) history_ = std::string(home) + "/.nemotron_history";
    using_history();
    stifle_history(1000);
    if (!history_.empty()) read_history(history_.c_str());
  }
  ~Input() {
    if (!history_.empty()) write_history(history_.c_str());  // a history that cannot be kept is no reason to complain
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // The next message; false at the end of input.
  bool read(std::string& text) {
    text.clear();
    std::string line;
    while (read_line(text.empty() ? "> " : ". ", line)) {
      const bool more = line.ends_with('\\');
      if (more) line.pop_back();
      text += line;
      if (!more) return true;
      text += '\n';
    }
    return !text.empty();
  }

 private:
  bool read_line(const char* prompt, std::string& line) {
    if (!terminal_) return static_cast<bool>(std::getline(std::cin, line));
    const std::unique_ptr<char, void (*)(void*)> typed(readline(prompt), std::free);
    if (!typed) return false;
    line = typed.get();
    if (!line.empty()) add_history(line.c_str());
    return true;
  }

  bool terminal_;
  std::string history_;
};

// Shows an answer as it comes; the reasoning dimmed, where it is shown at all.
class Screen {
 public:
  Screen(bool colour, bool reasoning) : colour_(colour), reasoning_(reasoning) {}

  void show(const ReasoningSplitter::Parts& parts) {
    if (reasoning_ && !parts.reasoning.empty()) {
      write((colour_ && !dim_ ? "\033[2;36m" : "") + parts.reasoning);
      dim_ = true;
    }
    if (!parts.answer.empty()) {
      leave_reasoning();
      write(parts.answer);
    }
  }
  void end() {
    leave_reasoning();
    write("\n");
  }

 private:
  void leave_reasoning() {
    if (dim_) write(colour_ ? "\033[0m\n" : "\n");
    dim_ = false;
  }
  static void write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  bool colour_, reasoning_, dim_ = false;
};

class Chat {
 public:
  explicit Chat(const Options& o)
      : options_(o),
        engine_(o.model->folder, o.model->engine),
        tokenizer_(open_tokenizer(o.model->folder, engine_.config())),
        prompts_(o.model->folder),
        state_(make_state(engine_.config(), engine_.state_format())),
        think_(o.think) {
    std::vector<std::string> warnings = engine_.warnings();
    generation_ = resolve(*o.sampling, load_generation_config(o.model->folder, warnings), engine_.config());
    need_tokenizer(tokenizer_, o.model->folder);
    if (!prompts_.available())
      throw Error({.what = "the folder has no chat template",
                   .where = o.model->folder,
                   .hint = "a base model continues text: use `nemotron generate`"});
    print_warnings(warnings);
    clear(o.system);
  }

  int run() {
    const bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    const bool reasoning = options_.reasoning == "auto" ? terminal : options_.reasoning == "show";
    if (terminal)
      fmt::print("{}: {}, {} threads. /help lists the commands.\n", options_.model->folder, engine_.config().pattern(),
                 engine_.context().threads.count());
    Input input(terminal);
    std::string text;
    while (input.read(text)) {
      if (text.empty()) continue;
      try {
        if (text[0] == '/' && !text.starts_with("//")) {
          if (!command(text)) break;
        } else {
          answer(text[0] == '/' ? text.substr(1) : text, terminal, reasoning);
        }
      } catch (const Error& e) {  // one bad line does not end a conversation in a terminal
        if (!terminal) throw;
        std::fprintf(stderr, "%s\n", e.what());
      }
    }
    return 0;
  }

 private:
  void clear(const std::string& system) {
    messages_ = Json(Json::Array{});
    if (!system.empty()) messages_.array().push_back(message("system", system));
    forget();
  }

  // The state starts over; the conversation stays.
  void forget() {
    state_ = make_state(engine_.config(), engine_.state_format());
    state_.add();
    held_.clear();
  }

  void answer(const std::string& text, bool terminal, bool show_reasoning) {
    messages_.array().push_back(message("user", text));
    Generated out;
    Json reply = message("assistant", "");
    try {
      const std::string prompt = prompts_.render(messages_, think_kwargs(think_));
      ReasoningSplitter splitter(ReasoningSplitter::opens(prompt));
      Screen screen(terminal, show_reasoning);
      std::string reasoning, content;
      const auto take = [&](const ReasoningSplitter::Parts& parts) {
        reasoning += parts.reasoning;
        content += parts.answer;
        screen.show(parts);
      };
      const Interrupt interrupt;
      out = generate(engine_, &*tokenizer_, state_, new_ids(prompt), generation_, [&](const GeneratedToken& token) {
        take(splitter.put(token.text));
        return !Interrupt::requested();
      });
      take(splitter.finish());
      screen.end();
      reply.set("content", content);
      if (!reasoning.empty()) reply.set("reasoning_content", reasoning);
    } catch (...) {
      messages_.array().pop_back();
      forget();
      throw;
    }
    held_.insert(held_.end(), out.ids.begin(), out.ids.end() - 1);  // the last one was sampled, not fed
    messages_.array().push_back(std::move(reply));
    prompt_tokens_ += out.prompt_tokens, prompt_seconds_ += out.prompt_seconds;
    new_tokens_ += index(out.ids.size()), new_seconds_ += out.seconds;
    if (out.finish == Finish::length)
      std::fprintf(stderr, "[ended after %zu tokens; --max-tokens allows more]\n", out.ids.size());
  }

  // The ids of a prompt that the state does not hold yet. A prompt that does not go on from what the state holds, as
  // when the template leaves old reasoning out, starts over.
  std::vector<int32_t> new_ids(const std::string& prompt) {
    std::vector<int32_t> ids = tokenizer_->encode(prompt);
    if (ids.size() <= held_.size() || !std::equal(held_.begin(), held_.end(), ids.begin())) forget();
    std::vector<int32_t> rest(ids.begin() + index(held_.size()), ids.end());
    held_ = std::move(ids);
    return rest;
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
      set_think(rest);
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

  void set_think(const std::string& mode) {
    if (!is_think_mode(mode))
      throw Error({.what = "no such mode", .where = "/think", .expected = "on, off or low", .found = mode});
    think_ = mode;
  }

  void save(const std::string& path) {
    if (path.empty()) throw Error({.what = "a file name is missing", .where = "/save"});
    Json file;
    file.set("format", kFileFormat).set("think", think_).set("messages", messages_);
    std::ofstream out(path, std::ios::binary);
    out << file.dump() << '\n';
    out.close();
    if (!out) throw Error({.what = "cannot be written", .where = path});
    fmt::print("{} messages saved\n", messages_.array().size());
  }

  void load(const std::string& path) {
    if (path.empty()) throw Error({.what = "a file name is missing", .where = "/load"});
    const Json file = parse_json(read_file(path), path);
    const Json *format = file.find("format"), *think = file.find("think"), *messages = file.find("messages");
    const auto fail = [&](const char* expected) {
      return Error({.what = "not a saved conversation", .where = path, .expected = expected});
    };
    if (!format || *format != Json(kFileFormat)) throw fail("\"format\": \"nemotron-conversation-1\"");
    if (!think || !think->is_string() || !is_think_mode(think->string())) throw fail("\"think\": on, off or low");
    if (!messages || !messages->is_array()) throw fail("\"messages\": a list");
    for (const Json& m : messages->array()) {
      const Json *role = m.find("role"), *content = m.find("content");
      if (!role || !role->is_string() || !content || !content->is_string())
        throw fail("messages with \"role\" and \"content\" texts");
    }
    think_ = think->string();
    messages_ = *messages;
    forget();
    fmt::print("{} messages loaded\n", messages_.array().size());
  }

  void stats() {
    const auto rate = [](index n, double seconds) { return seconds > 0 ? double(n) / seconds : 0; };
    fmt::print("context  {} tokens, {:.1f} MiB of state\n", state_[0].position, double(state_.bytes()) / (1 << 20));
    fmt::print("read     {} tokens, {:.1f} tokens/s\n", prompt_tokens_, rate(prompt_tokens_, prompt_seconds_));
    fmt::print("written  {} tokens, {:.1f} tokens/s\n", new_tokens_, rate(new_tokens_, new_seconds_));
    fmt::print("engine   {} {}, {} threads\n", engine_.context().ops.name,
               engine_.context().ops.real == Real::f32 ? cpu_target() : "", engine_.context().threads.count());
  }

  const Options& options_;
  Engine engine_;
  std::optional<Tokenizer> tokenizer_;
  Prompts prompts_;
  State state_;
  std::string think_;
  GenerateOptions generation_;
  Json messages_;
  std::vector<int32_t> held_;  // the ids the state has seen
  index prompt_tokens_ = 0, new_tokens_ = 0;
  double prompt_seconds_ = 0, new_seconds_ = 0;
};

}  // namespace

std::function<int()> define_chat(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model = add_model_options(app);
  app.add_option("--system", o->system, "a system message");
  add_think_option(app, o->think);
  app.add_option("--reasoning", o->reasoning, "show or hide the reasoning (default: shown in a terminal)")
      ->check(CLI::IsMember({"show", "hide", "auto"}));
  o->sampling = add_sampling_options(app);
  return [o] { return Chat(*o).run(); };
}

}  // namespace nemotron::cli
