// The cpu backend's ops, each dispatched to the SIMD target in use; signatures as in ops/ops.h.

#pragma once

#include "ops/ops.h"

namespace nemotron::cpu {

// cpu.cc: the value of each of the 256 E4M3 codes.
const float* e4m3_values();

// cpu.cc: whether the AVX2 target multiplies int8 with AVX-VNNI.
bool avx_vnni();

// linear.cc
void linear(Threads&, Arena&, std::span<const Group>, Rows x, Rows y, Activations);

// pointwise.cc
void embed(Threads&, const Matrix& table, std::span<const int32_t> ids, Rows y);
void rms_norm(Threads&, Rows x, const Vector& weight, index groups, double eps, Rows y);
void gated_rms_norm(Threads&, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y);
void add(Threads&, Rows x, Rows y);
void relu2(Threads&, Rows x);

// mamba.cc
void causal_conv(Threads&, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment>,
                 std::span<const Rows> tails, Rows y);
void ssm_scan(Threads&, Arena&, const ScanShape&, Rows xbc, Rows dt, const Vector& A_log, const Vector& D,
              const Vector& dt_bias, double dt_min, std::span<const Segment>, std::span<const SsmState>, Rows y);

// attention.cc
void kv_store(Threads&, const AttentionShape&, Rows k, Rows v, std::span<const Segment>, std::span<const KvCache>);
void attention(Threads&, Arena&, const AttentionShape&, Rows q, std::span<const Segment>, std::span<const KvCache>,
               Rows y);

// moe.cc
void route(Threads&, const RouteShape&, Rows logits, const Vector& bias, Routes);
void combine(Threads&, index experts, const Routes&, std::span<const index> rows, Rows x, Rows y);
void gather(Threads&, std::span<const index> rows, Rows x, Rows y);

}  // namespace nemotron::cpu
