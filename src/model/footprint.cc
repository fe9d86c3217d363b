// The matrices of a layer, told apart by who reads them.

#include "model/footprint.h"

#include <type_traits>

namespace nemotron {
namespace {

// Calls visit(matrix) for all matrices of a layer but its routed experts, in the order of their use.
template <class Visit>
void visit_common(const LayerWeights& layer, Visit&& visit) {
  std::visit(
      [&](const auto& w) {
        using Mixer = std::decay_t<decltype(w)>;
        if constexpr (std::is_same_v<Mixer, MambaWeights>) {
          for (const Matrix* m : {&w.in_proj, &w.out_proj}) visit(*m);
        } else if constexpr (std::is_same_v<Mixer, AttentionWeights>) {
          for (const Matrix* m : {&w.q_proj, &w.k_proj, &w.v_proj, &w.o_proj}) visit(*m);
        } else if constexpr (std::is_same_v<Mixer, MoeWeights>) {
          for (const Matrix* m :
               {&w.gate, &w.fc1_latent_proj, &w.fc2_latent_proj, &w.shared_up_proj, &w.shared_down_proj})
            visit(*m);
        } else {
          for (const Matrix* m : {&w.up_proj, &w.down_proj}) visit(*m);
        }
      },
      layer.mixer);
}

ReadAhead::Bytes codes(const Matrix& w) {
  return w.empty() ? ReadAhead::Bytes() : ReadAhead::Bytes(w.data, size_t(w.rows) * w.row_bytes());
}

ReadAhead::Bytes block_scales(const Matrix& w) {
  if (!w.block_scales) return {};
  return {w.block_scales, size_t(w.rows * (w.cols / Nvfp4::kBlock))};
}

}  // namespace

void add(ReadAhead& ahead, const Matrix& w) {
  ahead.add(codes(w));
  ahead.add(block_scales(w));
}

void add_common(ReadAhead& ahead, const LayerWeights& layer) {
  visit_common(layer, [&](const Matrix& w) { add(ahead, w); });
}

void add_rows(ReadAhead& ahead, const Matrix& embeddings, std::span<const int32_t> ids) {
  const ReadAhead::Bytes all = codes(embeddings), scales = block_scales(embeddings);
  const size_t row = embeddings.row_bytes(), scale_row = scales.size() / size_t(embeddings.rows);
  for (const int32_t id : ids) {
    ahead.add(all.subspan(size_t(id) * row, row));
    ahead.add(scales.subspan(size_t(id) * scale_row, scale_row));
  }
}

uint64_t matrix_bytes(const Matrix& w) { return codes(w).size() + block_scales(w).size(); }

Footprint footprint(const Model& model) {
  Footprint f;
  const auto common = [&](const Matrix& w) {
    for (const ReadAhead::Bytes bytes : {codes(w), block_scales(w)})
      if (!bytes.empty()) f.common.push_back(bytes);
    f.common_bytes += matrix_bytes(w);
  };
  for (const LayerWeights& layer : model.weights.layers) {
    visit_common(layer, common);
    const auto* moe = std::get_if<MoeWeights>(&layer.mixer);
    if (!moe) continue;
    uint64_t bytes = 0;
    for (const Expert& e : moe->experts) bytes += matrix_bytes(e.up_proj) + matrix_bytes(e.down_proj);
    f.expert_bytes += bytes;
    f.picked_bytes +=
        uint64_t(double(bytes) * double(model.config.num_experts_per_tok) / double(model.config.n_routed_experts));
    f.read_bytes = codes(moe->experts[0].up_proj).size();
  }
  common(model.weights.lm_head);
  return f;
}

}  // namespace nemotron
