// `nemotron render`: a conversation to the exact prompt text, one or one per line.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "text/chat_template.h"

namespace nemotron::cli {
namespace {

struct RenderArguments {
  std::string folder, file, source, now;
  bool jsonl = false;
};

// One request to one answer; what is wrong with a request is its answer, and the others are not hurt.
Json answer(const ChatTemplate& chat_template, const jinja::RenderOptions& options, std::string_view line) {
  try {
    Json out = Json::Object();
    out.set("rendered", chat_template.render(parse_conversation(parse_json(line, "request"), "request"), options));
    return out;
  } catch (const jinja::TemplateError& error) {
    return error_answer(error.kind_name(), error.message);
  } catch (const Error& error) {
    return error_answer("value", error.what());
  }
}

int render(RenderArguments arguments) {
  // With --template the folder may be left out: then the one name given is the file's.
  if (!arguments.source.empty() && arguments.file.empty()) std::swap(arguments.folder, arguments.file);
  if (arguments.file.empty()) throw Error({.what = "no conversation", .expected = "FILE, or - for standard input"});
  const jinja::RenderOptions options{.now = arguments.now.empty() ? jinja::current_time()
                                                                  : jinja::parse_time(arguments.now, "--now")};
  const ChatTemplate chat_template =
      arguments.source.empty()
          ? ChatTemplate::from_folder(arguments.folder)
          : ChatTemplate::from_source(read_file(arguments.source), arguments.source, arguments.folder);
  const std::string text = read_file(arguments.file);
  if (arguments.jsonl)
    for_each_line(text, [&](std::string_view line) { write_out(answer(chat_template, options, line).dump() + "\n"); });
  else
    write_out(chat_template.render(parse_conversation(parse_json(text, arguments.file), arguments.file), options));
  if (std::fflush(stdout) != 0) throw Error({.what = "standard output cannot be written"});
  return 0;
}

}  // namespace

std::function<int()> define_render(CLI::App& app) {
  const auto arguments = std::make_shared<RenderArguments>();
  app.add_option("DIR", arguments->folder, "model folder with a chat template (not needed with --template)");
  app.add_option(
      "FILE", arguments->file,
      "{\"messages\": […], \"tools\": […], \"add_generation_prompt\": true, \"kwargs\": {…}}; - is standard input");
  app.add_flag("--jsonl", arguments->jsonl,
               "a conversation a line; answers {\"rendered\": …} or {\"error\": …} for each");
  app.add_option("--template", arguments->source, "this chat template in place of the folder's own");
  app.add_option("--now", arguments->now, "the time that strftime_now sees, like 2026-11-21T09:05:07");
  return [arguments] { return render(*arguments); };
}

}  // namespace nemotron::cli
