// Prompts: the folder's chat template, and the switches for reasoning.

#include "cli/prompt.h"

#include <CLI/CLI.hpp>

#include "text/chat_template.h"

namespace nemotron::cli {

Json message(const std::string& role, const std::string& content) {
  Json out = Json::Object();
  out.set("role", role).set("content", content);
  return out;
}

void add_think_option(CLI::App& app, std::string& think) {
  app.add_option("--think", think, "how much the model reasons before it answers: on, off or low (default on)")
      ->check(CLI::IsMember({"on", "off", "low"}));
}

bool is_think_mode(const std::string& think) { return think == "on" || think == "off" || think == "low"; }

// Always said, as the default differs between revisions of the released template.
Json think_kwargs(const std::string& think) {
  Json out = Json::Object();
  out.set("enable_thinking", think != "off");
  if (think == "low") out.set("low_effort", true);
  return out;
}

Prompts::Prompts(const std::filesystem::path& folder) {
  if (ChatTemplate::present(folder)) template_ = std::make_unique<ChatTemplate>(ChatTemplate::from_folder(folder));
}
Prompts::~Prompts() = default;

std::string Prompts::render(const Json& messages, const Json& kwargs) const {
  const Conversation conversation{.messages = messages, .add_generation_prompt = true, .kwargs = kwargs};
  return template_->render(conversation, {.now = jinja::current_time()});
}

}  // namespace nemotron::cli
