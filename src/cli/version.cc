// `nemotron version`: the build, its SIMD targets and its formats.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "ops/ops.h"

namespace nemotron::cli {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

int run() {
  std::printf("nemotron %s (%s, %s)\n", NEMOTRON_VERSION, kCompiler, NEMOTRON_BUILD_TYPE);
  std::string targets;
  for (const std::string& t : cpu_targets())
    targets += (targets.empty() ? "" : " ") + t + (t == cpu_target() ? "*" : "");
  std::printf("SIMD targets here  %s   (* in use; all give the same bits)\n", targets.c_str());
  std::printf("backends           cpu (float32), ref (float64)\n");
  std::printf("weights            F32 BF16 F16 FP8 (E4M3, one scale a tensor) NVFP4\n");
  std::printf("keys and values    f32 bf16 fp8\n");
  std::printf("Mamba state        f32 f16 (stochastic rounding)\n");
  std::printf("threads            %d (physical cores)\n", Threads::physical_cores());
  return 0;
}

}  // namespace

std::function<int()> define_version(CLI::App&) { return run; }

}  // namespace nemotron::cli
