// The table of commands, and what happens around each: help, option errors, exceptions, exit codes.

#include "cli/command.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "cli/commands.h"

namespace nemotron::cli {
namespace {

constexpr Command kCommands[] = {
    {"Talk", "chat", "a conversation in the terminal, or through a pipe", "nemotron chat models/pico", define_chat},
    {"Talk", "generate", "one answer to one prompt: text, JSON events or token ids",
     "nemotron generate models/pico -p 'Compute 12 + 7.' --think off", define_generate},
    {"Measure", "score", "how likely a text is: log-probability, perplexity", "nemotron score models/pico README.md",
     define_score},
    {"Measure", "logits", "logits, hidden states, drafts and layer states, as safetensors",
     "nemotron logits models/pico --ids ids.json --out out.safetensors --states", define_logits},
    {"Measure", "bench", "tokens a second, beside the limits of this machine",
     "nemotron bench models/pico --threads 1,2", define_bench},
    {"Plan", "plan", "what a model needs and how fast it can be, on this machine and others",
     "nemotron plan super --machine B200 --against gpt-oss-120b", define_plan},
    {"Make", "make-random", "a folder of the true layout with random weights, for benchmarks and tests",
     "nemotron make-random nano nano-6 --format nvfp4 --layers 0-6", define_make_random},
    {"Look inside", "inspect", "what a folder holds: layers, parameters, formats, bytes",
     "nemotron inspect models/pico", define_inspect},
    {"Look inside", "tokenize", "text to token ids and back", "echo 'Hello' | nemotron tokenize models/pico",
     define_tokenize},
    {"Look inside", "render", "a conversation to the exact prompt text",
     "nemotron render models/pico conversation.json", define_render},
    {"Look inside", "parse", "what a model wrote to reasoning, content and tool calls",
     "printf 'Hm.\\n</think>\\nYes.' | nemotron parse models/pico", define_parse},
    {"Look inside", "version", "the build, its SIMD targets, its formats", "nemotron version", define_version},
};

// The first page: what there is, by what one wants to do.
std::string overview() {
  std::string text =
      "nemotron runs Nemotron 3 models from their published folders, exactly.\n\n"
      "Usage: nemotron COMMAND DIR [OPTIONS]\n";
  const char* group = "";
  for (const Command& c : kCommands) {
    if (std::string_view(group) != c.group) text += fmt::format("\n{}\n", group = c.group);
    text += fmt::format("  {:<11} {}\n", c.name, c.summary);
  }
  return text +
         "\nDIR is a checkpoint folder as it is published: config.json, *.safetensors, tokenizer.json, "
         "chat_template.jinja.\n"
         "`nemotron COMMAND --help` shows the options and an example. To begin: nemotron chat models/pico\n";
}

// CLI11 would call an unknown command a missing one.
void check_command(const std::string& name) {
  std::string known;
  for (const Command& c : kCommands) {
    if (name == c.name) return;
    known += (known.empty() ? "" : ", ") + std::string(c.name);
  }
  if (!name.starts_with('-')) throw Error({.what = "no such command", .expected = "one of " + known, .found = name});
}

// CLI11's pages for the commands, with plain words for the values; ours for the program.
class Help : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    return app->get_parent() ? CLI::Formatter::make_help(app, std::move(name), mode) : overview();
  }
  std::string make_description(const CLI::App* app) const override { return app->get_description() + "\n\n"; }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_positional() || option->get_type_size() == 0) return "";
    const std::string type = option->get_type_name();
    return " " + std::string(type.starts_with("INT") || type.starts_with("UINT") ? "N"
                             : type.starts_with("FLOAT")                         ? "X"
                                                                                 : type.substr(0, type.find(':')));
  }
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run(int argc, char** argv) {
  CLI::App app("", "nemotron");
  app.formatter(std::make_shared<Help>());
  app.set_version_flag("--version", NEMOTRON_VERSION);
  app.require_subcommand(1);
  std::function<int()> action;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->footer(std::string("Example:\n  ") + command.example);
    sub->final_callback([&action, run = command.define(*sub)] { action = run; });
  }
  try {
    if (argc < 2) {
      std::fputs(overview().c_str(), stderr);
      return 2;
    }
    check_command(argv[1]);
    app.parse(argc, argv);
    return action();
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::fprintf(stderr, "nemotron: %s (see --help)\n", printable(e.what(), 600).c_str());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "nemotron: out of memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "nemotron: %s\n", e.what());
  }
  return 2;
}

}  // namespace nemotron::cli
