// Fuzzes the template language: the source up to a NUL byte, then JSON for its variables. Whatever comes must end soon,
// and rendering again must give the same.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string_view source = bytes.substr(0, bytes.find('\0'));
  // The limits are the real ones but for time: sanitizers slow everything down.
  static const jinja::RenderOptions options{.now = jinja::parse_time("2026-11-21T09:05:07", "fuzz"),
                                            .limits = {.work = 300'000, .memory = size_t{32} << 20}};
  try {
    Json variables = Json::Object();
    if (source.size() < bytes.size()) variables = parse_json(bytes.substr(source.size() + 1), "variables", 64);
    const jinja::Template parsed = jinja::Template::parse(source, "fuzz");
    if (parsed.render(variables, options) != parsed.render(variables, options)) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
