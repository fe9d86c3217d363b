// What goes wrong inside a template: the kind and the words; the place is added where the error leaves the interpreter.

#pragma once

#include <string>
#include <utility>

namespace nemotron::jinja {

// `raise`: raise_exception was called. `syntax`: known before rendering. `value`: wrong type, missing key, bad
// argument, or a limit reached.
enum class FailureKind { raise, undefined, syntax, security, value };

struct Failure {
  FailureKind kind;
  std::string message;
};

[[noreturn]] inline void fail(FailureKind kind, std::string message) { throw Failure{kind, std::move(message)}; }
[[noreturn]] inline void fail_value(std::string message) { fail(FailureKind::value, std::move(message)); }

}  // namespace nemotron::jinja
