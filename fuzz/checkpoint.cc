// Fuzzes the weights of a folder whose config is sound: whatever loads has members of the promised shapes.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "folder.h"
#include "io/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  static const FuzzFolder folder;
  static Threads threads(1);
  folder.write("config.json", R"({"hybrid_override_pattern":"E-","vocab_size":2,"hidden_size":16,"n_routed_experts":2,
    "num_experts_per_tok":1,"moe_intermediate_size":16,"n_shared_experts":0,"intermediate_size":16,"tie_word_embeddings":true})");
  folder.write("model.safetensors", data, size);
  try {
    std::vector<std::string> warnings;
    const Model model = load_model(folder.path(), warnings, threads);
    const auto check = [](const Matrix& m) {
      std::vector<float> row(size_t(m.cols));
      for (int64_t r = 0; r < m.rows; ++r) decode_row(m, r, 0, m.cols, row.data());
    };
    check(model.weights.lm_head);
    const auto& moe = std::get<MoeWeights>(model.weights.layers.at(0).mixer);
    check(moe.gate);
    for (const Expert& e : moe.experts) check(e.up_proj), check(e.down_proj);
    const auto& mlp = std::get<MlpWeights>(model.weights.layers.at(1).mixer);
    check(mlp.up_proj), check(mlp.down_proj);
    if (model.weights.norm_f.size() != 16 || moe.e_score_correction_bias.size() != 2) abort();
  } catch (const Error&) {
  }
  return 0;
}
