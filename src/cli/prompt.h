// Conversations to prompts, by the folder's chat template.

#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "tensor/tensor.h"
#include "text/effort.h"
#include "text/output_parser.h"

namespace CLI {
class App;
}

namespace nemotron {
class ChatTemplate;
}

namespace nemotron::cli {

// {"role": role, "content": content}
Json message(const std::string& role, const std::string& content);

// --think on|off|low|medium|high|N, and --kwargs: more variables for the template.
struct PromptOptions {
  std::string think = "default", kwargs;
};
void add_prompt_options(CLI::App& app, PromptOptions& options);
// --kwargs as an object. Throws Error.
Json parse_kwargs(const std::string& text);

struct Prompt {
  std::string text;
  std::optional<index> thinking_budget = {};  // that the effort asks the engine to keep
};

// How the output after a prompt is to be read; the kwargs say force_nonempty_content, as in NVIDIA's parsers.
OutputStyle output_style(const std::string& prompt, const Json& kwargs);

class Prompts {
 public:
  // Throws Error for a template that cannot be read.
  explicit Prompts(const std::filesystem::path& folder);
  ~Prompts();

  bool available() const { return template_ != nullptr; }  // the folder has a template

  // Throws Error for an effort that the template has no switch for.
  void check(const Effort& effort) const;

  // The text that the model continues with the assistant's next message; `tools` is a list or null. Throws Error as the
  // template raises it, and as check() does.
  Prompt render(const Json& messages, const Json& tools, const Json& kwargs, const Effort& effort) const;

 private:
  std::unique_ptr<ChatTemplate> template_;
};

}  // namespace nemotron::cli
