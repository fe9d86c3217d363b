// `nemotron parse`: what a model wrote to reasoning, content and tool calls, one text or one per line.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/screen.h"
#include "cli/tools.h"
#include "text/chat_template.h"
#include "text/output_parser.h"

namespace nemotron::cli {
namespace {

struct ParseArguments {
  std::string folder, file = "-", thinking = "open", tools;
  bool jsonl = false, force = false, deltas = false;
  size_t stream = 0;
};

struct Request {
  std::string text;
  OutputStyle style;
  ToolSchemas tools;
};

Json object(Json::Object members) { return Json(std::move(members)); }

Json delta_json(const OutputDelta& delta) {
  switch (delta.kind) {
    case OutputDelta::kReasoning:
      return object({{"reasoning", delta.text}});
    case OutputDelta::kContent:
      return object({{"content", delta.text}});
    case OutputDelta::kCallBegins:
      return object({{"tool_call", object({{"index", uint64_t{delta.index}}, {"name", delta.text}})}});
    case OutputDelta::kCallEnds: {
      Json call = call_json(delta.call);
      call.object().insert(call.object().begin(), {"index", uint64_t{delta.index}});
      return object({{"tool_call", std::move(call)}});
    }
    case OutputDelta::kRestart:
      return object({{"restart", true}});
  }
  return {};
}

void print_line(const Json& json) { write_out(json.dump() + "\n"); }

void answer(const Request& request, const ParseArguments& arguments) {
  OutputParser parser(request.style, &request.tools);
  const auto show = [&](const std::vector<OutputDelta>& deltas) {
    if (!arguments.deltas) return;
    for (const OutputDelta& delta : deltas) print_line(delta_json(delta));
  };
  std::string_view rest = request.text;
  while (!rest.empty()) {
    const size_t piece = arguments.stream > 0 ? std::min(arguments.stream, rest.size()) : rest.size();
    show(parser.put(rest.substr(0, piece)));
    rest.remove_prefix(piece);
  }
  show(parser.finish());
  Json result = output_json(parser.result());
  if (arguments.deltas) result.object().insert(result.object().begin(), {"end", true});
  print_line(result);
}

bool is_thinking(const std::string& thinking) { return thinking == "open" || thinking == "closed"; }

Request parse_request(std::string_view line) {
  const Json json = parse_json(line, "request");
  if (!json.is_object()) throw Error({.what = "request", .expected = "object", .found = json.kind()});
  const auto fail = [](const char* field, const char* expected, const Json* found) {
    throw Error({.what = std::string("field '") + field + "'",
                 .where = "request",
                 .expected = expected,
                 .found = !found               ? "nothing"
                          : found->is_string() ? printable(found->string())
                                               : found->kind()});
  };
  Request request;
  const Json* text = json.find("text");
  if (!text || !text->is_string()) fail("text", "string", text);
  request.text = text->string();
  if (const Json* thinking = json.find("thinking")) {
    if (!thinking->is_string() || !is_thinking(thinking->string())) fail("thinking", "open or closed", thinking);
    request.style.thinking_open = thinking->string() == "open";
  }
  if (const Json* force = json.find("force_nonempty_content")) {
    if (!force->is_bool()) fail("force_nonempty_content", "boolean", force);
    request.style.force_nonempty_content = force->boolean();
  }
  if (const Json* tools = json.find("tools")) request.tools = ToolSchemas::from_json(*tools, "request");
  return request;
}

// A request is answered for itself: what is wrong with one does not hurt the others.
void answer_line(std::string_view line, const ParseArguments& arguments) {
  Request request;
  try {
    request = parse_request(line);
  } catch (const Error& error) {
    return print_line(error_answer("value", error.what()));
  }
  answer(request, arguments);
}

// All folders are read in the one style there is, so that nothing is taken from the folder yet.
void check_folder(const std::string& folder) {
  if (folder.empty()) return;
  if (!std::filesystem::is_directory(folder))
    throw Error({.what = "no such folder", .where = folder, .hint = "a FILE comes after the folder"});
  if (!std::filesystem::exists(std::filesystem::path(folder) / "config.json") && !ChatTemplate::present(folder))
    throw Error({.what = "not a model folder", .where = folder, .expected = "config.json or a chat template in it"});
}

int parse(const ParseArguments& arguments) {
  check_folder(arguments.folder);
  if (!arguments.jsonl) {
    Request request;
    request.style = {.thinking_open = arguments.thinking == "open", .force_nonempty_content = arguments.force};
    if (!arguments.tools.empty()) request.tools = read_tools(arguments.tools).schemas;
    request.text = read_file(arguments.file);
    answer(request, arguments);
  } else {
    const std::string text = read_file(arguments.file);
    for_each_line(text, [&](std::string_view line) { answer_line(line, arguments); });
  }
  if (std::fflush(stdout) != 0) throw Error({.what = "standard output cannot be written"});
  return 0;
}

}  // namespace

std::function<int()> define_parse(CLI::App& app) {
  const auto a = std::make_shared<ParseArguments>();
  app.add_option("DIR", a->folder, "the model's folder; all of them write in one style, so that it may be left out");
  app.add_option("FILE", a->file, "the text, or the lines; standard input if left out or -");
  CLI::Option* jsonl = app.add_flag(
      "--jsonl", a->jsonl,
      "lines {\"text\": …, \"thinking\": \"open\"|\"closed\", \"tools\": […], \"force_nonempty_content\": false}; "
      "answers {\"reasoning\": …, \"content\": …, \"tool_calls\": […]} or {\"error\": …} for each");
  app.add_option("--thinking", a->thinking,
                 "how the prompt ended: inside the thought (open, the default) or behind it (closed)")
      ->type_name("open|closed")
      ->check([](const std::string& text) { return is_thinking(text) ? "" : "expected open or closed, found " + text; })
      ->excludes(jsonl);
  app.add_option("--tools", a->tools, "the tools that were offered: a JSON list; without it nothing is read as a call")
      ->type_name("FILE")
      ->excludes(jsonl);
  app.add_flag("--force-nonempty-content", a->force, "a thought with nothing after it is the content")->excludes(jsonl);
  app.add_option("--stream", a->stream, "feed the parser pieces of N bytes; the answer is the same")
      ->check([](const std::string& text) {
        return text.find_first_not_of('0') == text.npos || text[0] == '-' ? "expected 1 or more bytes, found " + text
                                                                          : "";
      });
  app.add_flag(
      "--deltas", a->deltas,
      "print what a client is sent, a line each: {\"reasoning\": …}, {\"content\": …}, {\"tool_call\": {\"index\", "
      "\"name\"}} when a call begins, {\"tool_call\": {\"index\", \"name\", \"arguments\", \"complete\"}} when it "
      "ends, {\"restart\": true} when all before is void, and {\"end\": true, …} with the answer");
  return [a] { return parse(*a); };
}

}  // namespace nemotron::cli
