// Prompts through text/chat_template, with the variables that an effort asks for.

#include "cli/prompt.h"

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "text/chat_template.h"

namespace nemotron::cli {
namespace {

// The conversation with `text` at the end of its system message.
Json with_system(const Json& messages, const std::string& text) {
  if (text.empty()) return messages;
  Json out = messages;
  Json::Array& list = out.array();
  if (list.empty() || !list[0].find("role") || *list[0].find("role") != Json("system")) {
    list.insert(list.begin(), message("system", text));
    return out;
  }
  const Json* content = list[0].find("content");
  const std::string before = content && content->is_string() ? content->string() + "\n" : "";
  list[0].set("content", before + text);
  return out;
}

}  // namespace

Json message(const std::string& role, const std::string& content) {
  return Json().set("role", role).set("content", content);
}

void add_prompt_options(CLI::App& app, PromptOptions& options) {
  app.add_option("--think", options.think,
                 "how much to reason before the answer: on, off, low, medium, high, or at most N tokens (default: as "
                 "the chat template has it)");
  app.add_option("--kwargs", options.kwargs, "more variables for the chat template, as a JSON object");
}

Json parse_kwargs(const std::string& text) {
  if (text.empty()) return Json::Object();
  Json kwargs = parse_json(text, "--kwargs");
  if (!kwargs.is_object())
    throw Error({.what = "no variables", .where = "--kwargs", .expected = "object", .found = kwargs.kind()});
  return kwargs;
}

OutputStyle output_style(const std::string& prompt, const Json& kwargs) {
  const Json* force = kwargs.find("force_nonempty_content");
  return {.thinking_open = OutputParser::opens(prompt), .force_nonempty_content = force && *force == Json(true)};
}

Prompts::Prompts(const std::filesystem::path& folder) {
  if (ChatTemplate::present(folder)) template_ = std::make_unique<ChatTemplate>(ChatTemplate::from_folder(folder));
}

Prompts::~Prompts() = default;

void Prompts::check(const Effort& effort) const { switch_effort(template_->choose(false), effort); }

Prompt Prompts::render(const Json& messages, const Json& tools, const Json& kwargs, const Effort& effort) const {
  EffortSwitch chosen = switch_effort(template_->choose(!tools.is_null()), effort);
  for (const auto& [name, value] : kwargs.object()) chosen.kwargs.set(name, value);
  return {template_->render({.messages = with_system(messages, chosen.system),
                             .tools = tools,
                             .add_generation_prompt = true,
                             .kwargs = chosen.kwargs},
                            {.now = jinja::current_time()}),
          chosen.budget};
}

}  // namespace nemotron::cli
