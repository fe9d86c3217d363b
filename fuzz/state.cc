// Fuzzes the reader of saved states: any bytes as the file, against a tiny fixed model with every kind of layer.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "io/state_file.h"

namespace nemotron {
namespace {

Config tiny_config() {
  Config c;
  c.vocab_size = 8, c.hidden_size = 8;
  c.layers = {LayerKind::mamba, LayerKind::attention, LayerKind::moe, LayerKind::mlp};
  c.num_attention_heads = 2, c.num_key_value_heads = 1, c.head_dim = 4;
  c.mamba_num_heads = 2, c.mamba_head_dim = 2, c.n_groups = 1, c.ssm_state_size = 3, c.conv_kernel = 3;
  c.n_routed_experts = 2, c.num_experts_per_tok = 1, c.moe_intermediate_size = 4,
  c.moe_shared_expert_intermediate_size = 4;
  c.intermediate_size = 8;
  return c;
}

// Every weight is zero: only shapes matter to a state.
const Model& tiny_model() {
  static const Model model = [] {
    static const std::vector<uint8_t> zeros(1 << 12);
    Model m;
    m.config = tiny_config();
    visit_weights(m.config, m.weights, [](const Entry& entry, auto& member) {
      if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>)
        member = {.data = zeros.data(), .block_scales = nullptr, .rows = entry.shape[0], .cols = entry.shape[1]};
      else
        member.assign(entry.shape.empty() ? 1 : size_t(entry.shape[0]), 0.0f);
    });
    return m;
  }();
  return model;
}

}  // namespace
}  // namespace nemotron

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int file = memfd_create("state", 0);
  if (file < 0 || write(file, data, size) != ssize_t(size)) __builtin_trap();
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  try {
    const nemotron::State state = nemotron::load_state(path, nemotron::tiny_model(), nemotron::Real::f32);
    // What was read must be written again without a word.
    for (int slot = 0; slot < state.size(); ++slot)
      nemotron::state_tensors(state, slot, nemotron::tiny_model(), "", true);
  } catch (const nemotron::Error&) {
  }
  close(file);
  return 0;
}
