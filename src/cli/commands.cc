// The table of commands, and what happens around each: help, option errors, exceptions, exit codes.

#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"
#include "cli/commands.h"

namespace nemotron::cli {
namespace {

constexpr Command kCommands[] = {
    {"inspect", "what a folder holds: layers, parameters, formats, bytes", "nemotron inspect models/pico", define_inspect},
    {"tokenize", "text to token ids and back", "echo 'Hello' | nemotron tokenize models/pico", define_tokenize},
    {"render", "a conversation to the exact prompt text", "nemotron render models/pico conversation.json", define_render},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run(int argc, char** argv) {
  CLI::App app("Runs Nemotron 3 models from their published folders.", "nemotron");
  app.require_subcommand(1);
  std::function<int()> action;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->footer(std::string("Example:\n  ") + command.example);
    sub->final_callback([&action, run = command.define(*sub)] { action = run; });
  }
  try {
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
