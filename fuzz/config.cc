// Fuzzes config.json: whatever is accepted has sizes whose products are safe, and a weight table.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/config.h"
#include "model/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  try {
    const Config c =
        parse_config(parse_json({reinterpret_cast<const char*>(data), size}, "config.json"), "config.json");
    if (c.layers.empty() || c.in_proj_rows() <= 0 || c.query_width() <= 0 || c.expert_width() <= 0) abort();
    if (int64_t(c.layers.size() + c.mtp_layers.size()) * c.n_routed_experts > 10000)
      return 0;  // sound, but slow to list
    int64_t elements = 0;
    const auto add = [&](const Entry& entry, auto&) {
      int64_t n = 1;
      for (const int64_t length : entry.shape) {
        if (length <= 0) abort();
        n *= length;  // overflow is a finding
      }
      elements += n;
    };
    Weights weights;
    visit_weights(c, weights, add);
    if (!c.mtp_layers.empty()) visit_weights(c, weights.mtp.emplace(), add);
  } catch (const Error&) {
  }
  return 0;
}
