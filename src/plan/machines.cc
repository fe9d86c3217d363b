// The table of machines, and the measurement of this one.

#include "plan/machines.h"

#include <algorithm>
#include <cctype>

#include "base/memory.h"
#include "ops/peak.h"

namespace nemotron {
namespace {

constexpr double G = 1e9, T = 1e12;

std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c))) out += char(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

double Machine::peak(NumberFormat weights) const {
  if (weights == NumberFormat::nvfp4 && fp4 > 0) return fp4;
  if (weights == NumberFormat::mxfp4 && fp4 > 0) return fp8;
  if (weights == NumberFormat::fp8 && fp8 > 0) return fp8;
  return bf16;
}

const std::vector<Machine>& machines() {
  static const std::vector<Machine> all = {
      {"H100", "NVIDIA H100 SXM", "NVIDIA H100 datasheet", "no FP4 units", 80 * G, 3.35 * T, 989.4 * T, 1978.9 * T, 0},
      {"H200", "NVIDIA H200 SXM", "NVIDIA H200 datasheet", "no FP4 units", 141 * G, 4.8 * T, 989.4 * T, 1978.9 * T, 0},
      {"B200", "NVIDIA B200 (HGX)", "NVIDIA Blackwell datasheet, HGX B200: an eighth of the board",
       "dense is half of the published sparse figure", 180 * G, 8 * T, 2250 * T, 4500 * T, 9000 * T},
      {"B300", "NVIDIA B300 (HGX)", "NVIDIA Blackwell Ultra datasheet, HGX B300: an eighth of the board",
       "memory 288 GB as announced, 270 GB usable in HGX B300; FP4 108 PFLOPS dense a board", 270 * G, 8 * T, 2250 * T,
       4500 * T, 13500 * T},
      {"GB200", "NVIDIA GB200, one GPU of two", "NVIDIA GB200 NVL72 datasheet: a 72nd of the rack",
       "dense is half of the published sparse figure; Grace's own memory not counted", 186 * G, 8 * T, 2500 * T,
       5000 * T, 10000 * T},
      {"DGX Spark", "NVIDIA DGX Spark (GB10)", "NVIDIA DGX Spark datasheet: 1 PFLOP sparse FP4, 273 GB/s, 128 GB",
       "assumption: dense FP4 half of it, FP8 a quarter, BF16 an eighth; only the first is published", 128 * G, 273 * G,
       125 * T, 250 * T, 500 * T},
      {"RTX 5090", "NVIDIA GeForce RTX 5090", "NVIDIA RTX Blackwell architecture whitepaper, appendix A",
       "with float32 sums", 32 * G, 1792 * G, 209.5 * T, 419 * T, 1676 * T},
      {"RTX 4090", "NVIDIA GeForce RTX 4090", "NVIDIA Ada architecture whitepaper, appendix A",
       "with float32 sums; no FP4 units", 24 * G, 1008 * G, 165.2 * T, 330.3 * T, 0},
      {"RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell", "NVIDIA RTX PRO 6000 datasheet: 4000 TOPS sparse FP4",
       "assumption: dense FP4 half of it, FP8 a quarter, BF16 an eighth; only the first is published", 96 * G, 1792 * G,
       500 * T, 1000 * T, 2000 * T},
      {"A100", "NVIDIA A100 SXM 80 GB", "NVIDIA A100 datasheet", "neither FP8 nor FP4 units", 80 * G, 2.039 * T,
       312 * T, 0, 0},
      {"MI300X", "AMD Instinct MI300X", "AMD Instinct MI300X datasheet", "no FP4 units", 192 * G, 5.3 * T, 1307.4 * T,
       2614.9 * T, 0},
      {"MI355X", "AMD Instinct MI355X", "AMD Instinct MI355X datasheet", "", 288 * G, 8 * T, 2516.6 * T, 5033.2 * T,
       10066 * T},
      {"M3 Ultra", "Apple M3 Ultra, 80 GPU cores, 512 GB", "Apple Mac Studio specifications: 819 GB/s, up to 512 GB",
       "Apple publishes no FLOPS; assumption: 80 cores x 128 lanes x 2 x 1.38 GHz, 16 bits at the rate of 32", 512 * G,
       819 * G, 28.3 * T, 0, 0},
  };
  return all;
}

std::optional<Machine> find_machine(std::string_view name) {
  for (const Machine& m : machines())
    if (plain(m.name) == plain(name)) return m;
  return {};
}

Machine measure_this_machine(Threads& threads) {
  Machine m;
  m.name = "this";
  m.own = true;
  m.threads = threads.count();
  m.memory = double(total_memory());
  m.capacity = double(available_memory());
  m.bandwidth = measure_bandwidth(threads);
  m.bf16 = measure_fma_peak(threads);
  m.fp4 = std::max(m.bf16, measure_int8_peak(threads));
  m.title = "this machine";
  m.source = "measured now: streaming reads, products in registers, memory that is available";
  m.note = "NVFP4 weights meet int8 activations; all else is multiplied in float32";
  return m;
}

}  // namespace nemotron
