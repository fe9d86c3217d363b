// The cpu backend: the table of its kernels, and which SIMD target runs them.

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/cpu/kernels.h"

namespace nemotron {
namespace {

int64_t chosen = 0;  // 0: the best supported

std::vector<int64_t> targets() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<int64_t> all = hwy::SupportedAndGeneratedTargets();
  if (chosen) hwy::SetSupportedTargetsForTest(chosen);
  return all;
}

}  // namespace

const float* cpu::e4m3_values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> v;
    for (int c = 0; c < 256; ++c) v[size_t(c)] = E4m3::decode(uint8_t(c));
    return v;
  }();
  return values.data();
}

const Backend& cpu_backend() {
  static const Backend backend = {.name = "cpu",
                                  .real = Real::f32,
                                  .embed = cpu::embed,
                                  .rms_norm = cpu::rms_norm,
                                  .gated_rms_norm = cpu::gated_rms_norm,
                                  .linear = cpu::linear,
                                  .add = cpu::add,
                                  .relu2 = cpu::relu2,
                                  .causal_conv = cpu::causal_conv,
                                  .ssm_scan = cpu::ssm_scan,
                                  .kv_store = cpu::kv_store,
                                  .attention = cpu::attention,
                                  .route = cpu::route,
                                  .combine = cpu::combine,
                                  .gather = cpu::gather};
  return backend;
}

std::vector<std::string> cpu_targets() {
  std::vector<std::string> names;
  for (const int64_t t : targets()) names.emplace_back(hwy::TargetName(t));
  return names;
}

std::string cpu_target() { return hwy::TargetName(chosen ? chosen : targets().front()); }

void set_cpu_target(const std::string& name) {
  std::string choices;
  for (const int64_t t : targets()) {
    if (name == hwy::TargetName(t)) {
      chosen = t;
      hwy::SetSupportedTargetsForTest(t);
      hwy::GetChosenTarget().Update(t);
      return;
    }
    choices += (choices.empty() ? "" : ", ") + std::string(hwy::TargetName(t));
  }
  throw Error({.what = "no such SIMD target on this processor",
               .where = "--target",
               .expected = "one of " + choices,
               .found = name});
}

}  // namespace nemotron
