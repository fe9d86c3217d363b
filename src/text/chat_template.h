// Conversations to prompts: a folder's chat template, found, prepared and given its variables as transformers does it.

#pragma once

#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/jinja/template.h"

namespace nemotron {

struct Conversation {
  Json messages;        // list of objects
  Json tools = {};      // list of objects, or null
  Json documents = {};  // list of objects, or null
  bool add_generation_prompt = false;
  Json kwargs = Json::Object();  // more variables for the template
};

// {"messages": […], "tools": […], "documents": […], "add_generation_prompt": true, "kwargs": {…}}; all but the messages
// may be left out, and other fields are ignored, so that a request may carry notes. Throws Error naming `where` and
// field.
Conversation parse_conversation(const Json& request, const std::string& where);

class ChatTemplate {
 public:
  // Throws Error where there is none, or what holds it cannot be read. A template that does not parse is an error only
  // when it is used.
  static ChatTemplate from_folder(const std::filesystem::path& folder);
  // False where from_folder would find none.
  static bool present(const std::filesystem::path& folder);
  // A template by itself. The special tokens are those of `folder` where it is not empty.
  static ChatTemplate from_source(const std::string& source, const std::string& name,
                                  const std::filesystem::path& folder);

  // The prompt. Throws jinja::TemplateError. May be called from several threads at once.
  std::string render(const Conversation& conversation, const jinja::RenderOptions& options) const;

  // The template that a conversation with or without tools is given to. Throws TemplateError if it does not parse.
  const jinja::Template& choose(bool with_tools) const;

 private:
  struct Named {
    std::string name;  // "default", "tool_use", …
    std::optional<jinja::Template> parsed;
    std::exception_ptr error;  // why it is not parsed
  };
  void add(const std::string& name, const std::string& source, const std::string& file);

  std::string where_;
  std::vector<Named> templates_;
  Json special_tokens_ = Json::Object();  // "bos_token": "<s>" …
};

}  // namespace nemotron
