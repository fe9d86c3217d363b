// Template: the stages put together, and failures given their place.

#include "text/jinja/template.h"

#include <algorithm>
#include <cstdio>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/jinja/scopes.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {
namespace {

constexpr size_t kMaxSource = size_t{4} << 20;  // bytes; the longest published template has 40 thousand

const char* name_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::raise:
      return "raise_exception";
    case FailureKind::undefined:
      return "undefined";
    case FailureKind::syntax:
      return "syntax";
    case FailureKind::security:
      return "security";
    case FailureKind::value:
      return "value";
  }
  return "value";
}

TemplateError located(FailureKind kind, std::string message, const std::string& name, std::string_view source,
                      size_t offset) {
  const std::string_view before = source.substr(0, std::min(offset, source.size()));
  const auto line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = code_point_count(newline == before.npos ? before : before.substr(newline + 1)) + 1;
  return TemplateError(kind, std::move(message), name, line, column);
}

}  // namespace

TemplateError::TemplateError(FailureKind k, std::string m, const std::string& name, size_t l, size_t c)
    : Error({.what = m, .where = name + ":" + std::to_string(l) + ":" + std::to_string(c)}),
      kind(k),
      message(std::move(m)),
      line(l),
      column(c) {}

const char* TemplateError::kind_name() const { return name_of(kind); }

std::tm current_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

std::tm parse_time(const std::string& text, const std::string& where) {
  std::tm out{};
  char separator = 0, more = 0;
  const int read = std::sscanf(text.c_str(), "%4d-%2d-%2d%c%2d:%2d:%2d%c", &out.tm_year, &out.tm_mon, &out.tm_mday,
                               &separator, &out.tm_hour, &out.tm_min, &out.tm_sec, &more);
  const std::tm asked = out;
  out.tm_year -= 1900;
  out.tm_mon -= 1;
  out.tm_isdst = -1;
  const bool complete = read == 6 || read == 7;
  std::tm normal = out;
  // timegm fills in the day of the week and of the year, and moves what is out of range.
  const bool valid = complete && (separator == 'T' || separator == ' ') && asked.tm_year >= 1 &&
                     timegm(&normal) != -1 && normal.tm_mday == out.tm_mday && normal.tm_mon == out.tm_mon &&
                     normal.tm_hour == out.tm_hour && normal.tm_min == out.tm_min && normal.tm_sec == out.tm_sec;
  if (!valid) {
    throw Error(
        {.what = "not a time", .where = where, .expected = "like 2026-11-21T09:05:07", .found = "'" + text + "'"});
  }
  return normal;
}

Template::Template(std::string source, std::string name, std::unique_ptr<const SyntaxTree> tree)
    : source_(std::move(source)), name_(std::move(name)), tree_(std::move(tree)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Template Template::parse(std::string_view text, std::string name) {
  if (text.size() > kMaxSource) {
    throw TemplateError(FailureKind::syntax, "a template of more than 4 MiB", name, 1, 1);
  }
  if (find_invalid_utf8(text) != text.size())
    throw TemplateError(FailureKind::syntax, "the template is not valid UTF-8", name, 1, 1);
  std::string source = normalize_source(text);
  try {
    auto tree = std::make_unique<SyntaxTree>(jinja::parse(source));
    resolve_names(*tree);
    return Template(std::move(source), std::move(name), std::move(tree));
  } catch (const ParseFailure& failure) {
    throw located(failure.kind, failure.message, name, source, failure.offset);
  }
}

bool Template::reads(const std::string& variable) const { return tree_->context_names.count(variable) > 0; }

std::string Template::render(const Json& variables, const RenderOptions& options) const {
  if (!variables.is_object()) {
    throw Error(
        {.what = "the variables of a template", .where = name_, .expected = "object", .found = variables.kind()});
  }
  Interpreter interpreter(*tree_, options.limits, options.now);
  try {
    return interpreter.render(variables);
  } catch (const Failure& failure) {
    throw located(failure.kind, failure.message, name_, source_, interpreter.position());
  }
}

}  // namespace nemotron::jinja
