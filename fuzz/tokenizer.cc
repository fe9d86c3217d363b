// Fuzzes the reader of tokenizer.json and the tokenizers it makes: the input is a file, a NUL byte, and a text to
// encode.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  const std::string_view file = input.substr(0, end), text = end == input.npos ? file : input.substr(end + 1);
  try {
    const nemotron::Tokenizer tokenizer = nemotron::Tokenizer::parse(file, "tokenizer.json");
    const auto ids = tokenizer.encode(text, true);
    std::string joined;
    nemotron::Detokenizer stream(tokenizer);
    for (const int32_t id : ids) {
      if (!tokenizer.has(id)) __builtin_trap();
      joined += stream.put(id);
    }
    if (joined + stream.finish() != tokenizer.decode(ids)) __builtin_trap();
    if (tokenizer.encode(text, true) != ids) __builtin_trap();  // now from the cache
  } catch (const nemotron::Error&) {
  }
  return 0;
}
