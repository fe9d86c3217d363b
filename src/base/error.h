// The one exception of the project: what went wrong, where, what was expected, what was found, and the cure.

#pragma once

#include <exception>
#include <string>

namespace nemotron {

// Thrown for whatever comes from outside (files, options, requests); caught in main, in the request handler and in the
// training loop. Expected outcomes are return values. Every field but `what` may be empty.
struct ErrorFields {
  std::string what = {};      // "shape differs"
  std::string where = {};     // file, tensor, field or option: "models/pico/model.safetensors: tensor 'lm_head.weight'"
  std::string expected = {};  // "[2048, 256]"
  std::string found = {};     // "[2048, 128]"
  std::string hint = {};      // "download the folder again"
};

class Error : public std::exception {
 public:
  explicit Error(ErrorFields fields);

  // One line, control characters escaped: "WHERE: WHAT: expected EXPECTED, found FOUND (HINT)".
  const char* what() const noexcept override { return line_.c_str(); }
  const ErrorFields& fields() const noexcept { return fields_; }

 private:
  ErrorFields fields_;
  std::string line_;
};

// `text` from outside made fit for one line of a message: control characters and invalid bytes as \xNN, and cut with
// "…" after `limit` bytes, so that a hostile name cannot flood or forge a log.
std::string printable(const std::string& text, size_t limit = 200);

}  // namespace nemotron
