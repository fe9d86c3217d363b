// The reference data of the text tests: tokenizers, and what the ecosystem's own library answers for them.

#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "data.h"
#include "text/tokenizer.h"

namespace nemotron {

inline const std::vector<std::string>& tokenizer_names() {
  static const std::vector<std::string> names = {"tekken_form", "llama3_form", "gpt2_form", "prefix_form", "qwen_form"};
  return names;
}

inline Tokenizer golden_tokenizer(const std::string& name) {
  return Tokenizer(NEMOTRON_SOURCE_DIR "/tests/data/text/tokenizers/" + name);
}

// The lines of tests/data/text/NAME; a line ends at the byte 0x0A only.
inline std::vector<Json> golden_lines(const std::string& name) {
  std::istringstream text(repository_file("tests/data/text/" + name));
  std::vector<Json> out;
  for (std::string line; std::getline(text, line);) out.push_back(parse_json(line, name));
  if (out.empty()) throw Error({.what = "test data is empty", .where = name});
  return out;
}

inline std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> out;
  for (const Json& id : list.array()) out.push_back(int32_t(id.integer()));
  return out;
}

// The message of the Error that `action` throws, or "".
template <typename Action>
std::string message_of(Action action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace nemotron
