// Prompts through text/chat_template, and the modes of thinking.

#include "cli/prompt.h"

#include <CLI/CLI.hpp>

#include "text/chat_template.h"

namespace nemotron::cli {

Json message(const std::string& role, const std::string& content) {
  return Json().set("role", role).set("content", content);
}

void add_think_option(CLI::App& app, std::string& think) {
  app.add_option("--think", think, "how much to reason before the answer: on, off or low (default on)")
      ->check(CLI::IsMember({"on", "off", "low"}));
}

bool is_think_mode(const std::string& think) { return think == "on" || think == "off" || think == "low"; }

Json think_kwargs(const std::string& think) {
  return Json().set("enable_thinking", think != "off").set("low_effort", think == "low");
}

Prompts::Prompts(const std::filesystem::path& folder) {
  if (ChatTemplate::present(folder)) template_ = std::make_unique<ChatTemplate>(ChatTemplate::from_folder(folder));
}

Prompts::~Prompts() = default;

std::string Prompts::render(const Json& messages, const Json& kwargs) const {
  return template_->render({.messages = messages, .add_generation_prompt = true, .kwargs = kwargs},
                           {.now = jinja::current_time()});
}

}  // namespace nemotron::cli
