// Conversations to prompts, by the folder's chat template.

#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/json.h"

namespace CLI {
class App;
}

namespace nemotron {
class ChatTemplate;
}

namespace nemotron::cli {

// {"role": role, "content": content}
Json message(const std::string& role, const std::string& content);

// --think on|off|low, and the template's switches for it (spec/model.md 9.2).
void add_think_option(CLI::App& app, std::string& think);
bool is_think_mode(const std::string& think);
Json think_kwargs(const std::string& think);

class Prompts {
 public:
  // Throws Error for a template that cannot be read.
  explicit Prompts(const std::filesystem::path& folder);
  ~Prompts();

  bool available() const { return template_ != nullptr; }  // the folder has a template

  // The text that the model continues with the assistant's next message. Throws Error as the template raises it.
  std::string render(const Json& messages, const Json& kwargs) const;

 private:
  std::unique_ptr<ChatTemplate> template_;
};

}  // namespace nemotron::cli
