// Walks the bindings of a folder, whose order is that of the weight table.

#include "cli/stored.h"

#include <algorithm>

namespace nemotron::cli {
namespace {

uint64_t stored_bytes(const Binding& b) {
  uint64_t bytes = b.weight ? b.bytes : 0;
  for (const Tensor* t : {b.block_scales, b.scale, b.input_scale}) bytes += t ? t->bytes : 0;
  return bytes;
}

}  // namespace

Architecture architecture_of(const Checkpoint& c) {
  Config config = c.config;
  if (!c.has_mtp) config.mtp_layers.clear();
  auto next = c.bindings.begin();
  return describe(config, c.has_mtp, [&](const Entry&, const TensorPlace&) {
    const Binding& b = *next++;
    return b.weight ? HowStored{number_format(b.format), stored_bytes(b)} : HowStored{};
  });
}

bool has_kv_scales(const Checkpoint& c) {
  return std::any_of(c.bindings.begin(), c.bindings.end(),
                     [](const Binding& b) { return b.weight && b.entry.role == Role::kv_scale; });
}

Resident resident_of(const Checkpoint& c) {
  Resident r{.config = c.config};
  std::error_code ignored;
  for (const std::filesystem::path& file : c.tensors.files()) r.headers += std::filesystem::file_size(file, ignored);
  uint64_t bound = 0;
  for (const Binding& b : c.bindings) bound += stored_bytes(b);
  r.headers -= std::min(r.headers, bound);  // whatever is mapped and no weight of the model
  r.tensors = c.tensors.tensors().size();
  const uintmax_t tokenizer = std::filesystem::file_size(c.folder / "tokenizer.json", ignored);
  r.tokenizer = ignored ? 0 : tokenizer;
  return r;
}

}  // namespace nemotron::cli
