// The cpu backend: the table of its kernels, and which SIMD target runs them.

#include <hwy/highway.h>
#include <hwy/targets.h>

#if HWY_ARCH_X86
#include <cpuid.h>
#endif

#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/cpu/kernels.h"

namespace nemotron {
namespace {

// A SIMD target of Highway's, and on AVX2 whether int8 is multiplied with AVX-VNNI, which Highway has no target for.
struct Target {
  int64_t bits;
  bool vnni;
  std::string name() const { return std::string(hwy::TargetName(bits)) + (vnni ? "_VNNI" : ""); }
};

bool has_avx_vnni() {
#if HWY_ARCH_X86
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
#else
  return false;
#endif
}

int64_t chosen = 0;  // 0: the best supported
bool vnni = has_avx_vnni();

std::vector<Target> targets() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<Target> all;
  for (const int64_t t : hwy::SupportedAndGeneratedTargets()) {
    if (t == HWY_AVX2 && has_avx_vnni()) all.push_back({t, true});
    all.push_back({t, false});
  }
  if (chosen) hwy::SetSupportedTargetsForTest(chosen);
  return all;
}

}  // namespace

bool cpu::avx_vnni() { return vnni; }

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
  for (const Target& t : targets()) names.push_back(t.name());
  return names;
}

std::string cpu_target() {
  return chosen ? Target{chosen, chosen == HWY_AVX2 && vnni}.name() : targets().front().name();
}

void set_cpu_target(const std::string& name) {
  std::string choices;
  for (const Target& t : targets()) {
    if (name == t.name()) {
      chosen = t.bits, vnni = t.vnni;
      hwy::SetSupportedTargetsForTest(chosen);
      hwy::GetChosenTarget().Update(chosen);
      return;
    }
    choices += (choices.empty() ? "" : ", ") + t.name();
  }
  throw Error({.what = "no such SIMD target on this processor",
               .where = "--target",
               .expected = "one of " + choices,
               .found = name});
}

}  // namespace nemotron
