// Sizes and choices that all backends share.

#include "ops/ops.h"

namespace nemotron {

size_t kv_size(KvFormat f, Real real) { return f == KvFormat::fp8 ? 1 : f == KvFormat::bf16 ? 2 : real_size(real); }
size_t ssm_size(SsmFormat f, Real real) { return f == SsmFormat::f16 ? 2 : real_size(real); }

bool takes_int8(const Matrix& w, Activations a) {
  return a == Activations::int8 && w.format == Format::nvfp4 && w.cols >= 256;
}

}  // namespace nemotron
