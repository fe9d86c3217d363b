// Fuzzes the JSON reader, and that what it reads is written and read back as the same value.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  Json json;
  try {
    json = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json", 64);
  } catch (const Error&) {
    return 0;
  }
  const std::string text = json.dump();
  if (parse_json(text, "dump", 64).dump() != text) std::abort();  // texts, for NaN is unequal to itself
  return 0;
}
