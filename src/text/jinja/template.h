// A Jinja template: parsed once, rendered as often and from as many threads as wanted.
//
// The language is that of Jinja2 3.1 as transformers sets it up for chat templates: an immutable sandbox, trim_blocks,
// lstrip_blocks, loop controls, the generation tag, tojson without HTML escapes, raise_exception and strftime_now.
// Output is the same byte for byte.

#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/jinja/failure.h"
#include "text/jinja/heap.h"

namespace nemotron::jinja {

struct SyntaxTree;

// A template that cannot be parsed or rendered. what() is one line with the template's name, line and column.
struct TemplateError : Error {
  TemplateError(FailureKind k, std::string m, const std::string& name, size_t l, size_t c);
  // "raise_exception", "undefined", "syntax", "security" or "value".
  const char* kind_name() const;

  FailureKind kind;
  std::string message;  // for raise_exception the template's own words
  size_t line, column;  // from 1; the column counts characters
};

struct RenderOptions {
  std::tm now;  // for strftime_now
  Limits limits = {};
};

// The local time.
std::tm current_time();
// "2026-11-21T09:05:07", the seconds may be missing. Throws Error naming `where`.
std::tm parse_time(const std::string& text, const std::string& where);

class Template {
 public:
  // Throws TemplateError. `name` is for messages.
  static Template parse(std::string_view source, std::string name);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // `variables` is an object: what the template sees besides its globals. Throws TemplateError.
  std::string render(const Json& variables, const RenderOptions& options) const;

  // Whether the template looks at a variable of this name.
  bool reads(const std::string& variable) const;
  // Whether it says so anywhere, in its text or its code.
  bool mentions(std::string_view text) const { return source_.find(text) != std::string::npos; }

 private:
  Template(std::string source, std::string name, std::unique_ptr<const SyntaxTree> tree);

  std::string source_;  // normalized; positions refer to it
  std::string name_;
  std::unique_ptr<const SyntaxTree> tree_;
};

}  // namespace nemotron::jinja
