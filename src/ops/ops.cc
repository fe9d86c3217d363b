// Sizes that all backends share.

#include "ops/ops.h"

namespace nemotron {

size_t kv_size(KvFormat f, Real real) { return f == KvFormat::fp8 ? 1 : f == KvFormat::bf16 ? 2 : real_size(real); }
size_t ssm_size(SsmFormat f, Real real) { return f == SsmFormat::f16 ? 2 : real_size(real); }

}  // namespace nemotron
