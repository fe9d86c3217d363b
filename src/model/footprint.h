// Which bytes of a model a step touches: those of every token, and those of the routed experts that are picked.

#pragma once

#include <span>
#include <vector>

#include "base/read_ahead.h"
#include "model/model.h"

namespace nemotron {

// Adds the bytes of a matrix, codes and block scales; of none where it is empty.
void add(ReadAhead& ahead, const Matrix& w);
// Adds all matrices of a layer but its routed experts.
void add_common(ReadAhead& ahead, const LayerWeights& layer);
// Adds the rows of the embedding that `ids` stand for.
void add_rows(ReadAhead& ahead, const Matrix& embeddings, std::span<const int32_t> ids);

uint64_t matrix_bytes(const Matrix& w);

// Without embeddings, of which a token reads one row, and without the MTP block, which drafts only.
struct Footprint {
  std::vector<ReadAhead::Bytes> common;  // the matrices that every token reads, in the order of their use
  uint64_t common_bytes = 0;
  uint64_t expert_bytes = 0;  // of all routed experts
  uint64_t picked_bytes = 0;  // of those that one token picks
  uint64_t read_bytes = 0;    // of the usual matrix of an expert; 0: there is none
};
Footprint footprint(const Model& model);

}  // namespace nemotron
