// Follows the engine's allocations without making them: pages of keys and values, states, scratch, tables.

#include "plan/resident.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "ops/ops.h"

namespace nemotron {
namespace {

// Measured on Debian 12, x86-64; in bytes. After an answer a process has touched this part of its code and libraries
// (the kernels of other vector instruction sets stay untouched), and has a heap and stacks before any model. How much
// of the code comes along with a fault depends on how the file got into the system's cache: a program read from disk
// has 0.69 to 0.70, one that was just linked up to 0.77.
constexpr double kTouchedCode = 0.73;
constexpr uint64_t kHeapAndStacks = 300'000;
// A tensor's name, place and binding, of a folder.
constexpr uint64_t kTensorTables = 320;
// Tokenizer: tables of Unicode and rules, then vocabulary and merges as a multiple of the file; while it is read, its
// JSON stands beside them.
constexpr uint64_t kTokenizerFixed = 1'750'000;
constexpr double kTokenizerFactor = 1.5, kTokenizerReading = 5.1;

// ops/cpu/linear.cc: a job and its rows; for outer products, from so many rows on, what a thread lays out of W in bytes
// for each column (int8 with block scales, or BF16), with the trees of its sums.
constexpr uint64_t kJob = 72, kInt8Panel = 40, kRealPanel = 64, kTrees = 8 * 12 * 32 * 4;
constexpr index kJobRows = 512, kOuterInt8Rows = 8, kOuterRealRows = 48;

constexpr uint64_t kBlock = 4096, kMapped = 128 << 10;

// What an aligned allocation takes: beyond glibc's threshold it is a mapping of its own.
Count taken(Count size) {
  const Count with_header = size + 80;
  return with_header.value() < kMapped ? with_header : (with_header.value() + kBlock - 1) / kBlock * kBlock;
}

// An Arena (tensor/arena.h) that only remembers how far each of its blocks was used.
class PretendArena {
 public:
  struct Mark {
    size_t block = 0;
    uint64_t used = 0;
  };

  void bytes(Count count) {
    const uint64_t n = (std::max<uint64_t>(count.value(), 1) + 63) / 64 * 64;
    while (at_.block < blocks_.size() && at_.used + n > blocks_[at_.block].size) at_ = {at_.block + 1, 0};
    if (at_.block == blocks_.size()) {
      blocks_.push_back(
          {std::max(n, blocks_.empty() ? uint64_t{1} << 20 : (Count(blocks_.back().size) * 2).value()), 0});
      at_.used = 0;
    }
    at_.used += n;
    uint64_t& most = blocks_[at_.block].most;
    most = std::max(most, at_.used);
  }
  void rows(index rows, index cols) { bytes(Count(4) * uint64_t(rows) * uint64_t(cols)); }

  Mark mark() const { return at_; }
  void rewind(Mark m) { at_ = m; }

  Count touched() const {
    Count sum;
    for (const Block& b : blocks_) sum += b.most;
    return sum;
  }

 private:
  struct Block {
    uint64_t size, most;
  };
  std::vector<Block> blocks_;
  Mark at_;
};

class PretendScratch {
 public:
  explicit PretendScratch(PretendArena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~PretendScratch() { arena_.rewind(mark_); }
  PretendScratch(const PretendScratch&) = delete;
  PretendScratch& operator=(const PretendScratch&) = delete;

 private:
  PretendArena& arena_;
  PretendArena::Mark mark_;
};

// The forward of model/model.cc and its layers, allocation by allocation.
class PretendForward {
 public:
  PretendForward(const Config& c, const Architecture& a, int threads) : c_(c), a_(a), threads_(threads) {}

  // T rows of all sequences together, of which `heads` go through the head.
  void run(index T, index heads) {
    const PretendScratch whole(arena_);
    arena_.rows(T, c_.hidden_size);
    for (const LayerKind kind : kinds()) {
      const PretendScratch layer(arena_);
      arena_.rows(T, c_.hidden_size);
      arena_.rows(T, c_.hidden_size);
      mixer(kind, T);
    }
    const PretendScratch head(arena_);
    int8_ = false;
    arena_.rows(heads, c_.vocab_size);
    linear(heads, c_.hidden_size, 1);
  }

  Count touched() const { return arena_.touched(); }

 private:
  // Whether all matrices of such layers, of their experts or of the rest, are in NVFP4. The router, small and used
  // while little else is in memory, does not count.
  bool in_nvfp4(LayerKind kind, bool experts) const {
    const Part part = kind == LayerKind::mamba       ? Part::mamba
                      : kind == LayerKind::attention ? Part::attention
                      : kind == LayerKind::moe       ? Part::moe
                                                     : Part::mlp;
    const uint64_t router = part == Part::moe ? uint64_t(c_.n_routed_experts * c_.hidden_size) : 0;
    return std::all_of(a_.weights.begin(), a_.weights.end(), [&](const WeightGroup& g) {
      return g.part != part || !g.multiplied || (g.experts > 1) != experts || g.format == NumberFormat::nvfp4 ||
             g.parameters.value() <= router * uint64_t(c_.layers.size());
    });
  }

  std::vector<LayerKind> kinds() const {  // layers of a kind allocate alike
    std::vector<LayerKind> kinds;
    for (const LayerKind kind : c_.layers)
      if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    return kinds;
  }

  // Rows for a product with NVFP4 weights are rounded to int8, 384 bytes for each 256 columns of each segment. Many
  // rows for another are laid out anew; with many rows so is a panel of weights for each thread.
  void linear(index rows, index cols, index groups) {
    const PretendScratch scratch(arena_);
    arena_.bytes(Count(kJob) * uint64_t(groups + rows / kJobRows + 1));
    Count space;
    const bool outer = rows / groups > (int8_ ? kOuterInt8Rows : kOuterRealRows);
    if (int8_)
      arena_.bytes(Count(384) * uint64_t(rows) * uint64_t((cols + 255) / 256));
    else if (outer)
      arena_.rows(rows, round_up(cols, 16));
    if (outer) space = Count(int8_ ? kInt8Panel : kRealPanel) * uint64_t(cols) + kTrees;
    arena_.bytes(Count(uint64_t(threads_)) * space);
  }

  void mixer(LayerKind kind, index T) {
    int8_ = in_nvfp4(kind, false);
    switch (kind) {
      case LayerKind::mamba:
        return mamba(T);
      case LayerKind::attention:
        return attention(T);
      case LayerKind::moe:
        return moe(T);
      case LayerKind::mlp:
        break;
    }
    arena_.rows(T, c_.intermediate_size);
    linear(T, std::max(c_.hidden_size, c_.intermediate_size), 1);
  }

  void mamba(index T) {
    const index D = c_.mamba_inner(), padded = round_up(c_.ssm_state_size, kLanes);
    arena_.rows(T, c_.in_proj_rows());
    linear(T, c_.hidden_size, 1);
    arena_.rows(T, c_.conv_channels());
    arena_.rows(T, D);
    {
      const PretendScratch scan(arena_);
      for (int i = 0; i < 2; ++i) arena_.rows(T, c_.mamba_num_heads);
      arena_.rows(1, c_.mamba_num_heads);
      if (padded != c_.ssm_state_size) arena_.rows(T, 2 * c_.n_groups * padded);
      arena_.rows(threads_, c_.mamba_head_dim * padded);
    }
    arena_.rows(T, D);
    linear(T, D, 1);
  }

  void attention(index T) {
    for (const index cols : {c_.query_width(), c_.kv_width(), c_.kv_width(), c_.query_width()}) arena_.rows(T, cols);
    linear(T, std::max(c_.hidden_size, c_.query_width()), 1);
    const PretendScratch scratch(arena_);
    arena_.rows(threads_, 3 * kPage * round_up(c_.head_dim, 16));
  }

  void moe(index T) {
    const index k = c_.num_experts_per_tok, X = c_.expert_width(), I = c_.moe_intermediate_size;
    arena_.rows(T, c_.n_routed_experts);
    linear(T, c_.hidden_size, 1);
    for (int i = 0; i < 2; ++i) arena_.rows(T, k);
    arena_.bytes(Count(8) * uint64_t(T) * uint64_t(k));
    if (c_.moe_latent_size) arena_.rows(T, X);
    for (const index cols : {X, I, X}) arena_.bytes(Count(4) * uint64_t(T) * uint64_t(k) * uint64_t(cols));
    const bool dense = std::exchange(int8_, in_nvfp4(LayerKind::moe, true));
    linear(T * k, std::max(X, I), std::min(c_.n_routed_experts, T * k));
    int8_ = dense;
    if (c_.moe_latent_size) arena_.rows(T, X);
    if (c_.n_shared_experts == 0) return;
    arena_.rows(T, c_.moe_shared_expert_intermediate_size);
    arena_.rows(T, c_.hidden_size);
    linear(T, std::max(c_.hidden_size, c_.moe_shared_expert_intermediate_size), 1);
  }

  const Config& c_;
  const Architecture& a_;
  index threads_;
  bool int8_ = false;  // whether the weights at hand are in NVFP4
  PretendArena arena_;
};

Count state_of_ours(const Config& c, const Architecture& a, const CacheFormats& f) {
  Count bytes;
  for (const RecurrentGroup& r : a.recurrent) {
    const Count padded = Count(uint64_t(c.mamba_inner())) * uint64_t(round_up(c.ssm_state_size, kLanes));
    const Count conv = Count(4) * r.conv_channels * (r.conv_kernel - 1);
    bytes += (taken(bytes_of(f.state, padded)) + taken(conv)) * r.layers;
  }
  return bytes;
}

Count pages_of_ours(const Architecture& a, NumberFormat kv, uint64_t context) {
  Count bytes;
  for (const AttentionGroup& g : a.attention) {
    const Count page = bytes_of(kv, Count(2) * g.kv_heads * g.head_dim * uint64_t(kPage));
    bytes += taken(page) * g.layers * ((context + kPage - 1) / kPage);
  }
  return bytes;
}

}  // namespace

Memory resident_memory(const Resident& r, const Architecture& a, const Workload& w) {
  Memory m;
  m.weights = weight_bytes(a, true) + r.headers;
  m.kv = pages_of_ours(a, w.formats.kv, w.context) * w.batch;
  m.state = state_of_ours(r.config, a, w.formats) * w.batch;

  const Count rows = Count(w.batch) * std::min(w.prefill_chunk, w.context);
  if (rows > Count(uint64_t{1} << 40))  // so that no product of rows and columns overflows below
    throw Error({.what = "too many sequences to plan for", .where = "--batch", .found = std::to_string(w.batch)});
  PretendForward forward(r.config, a, r.threads);
  forward.run(index(rows.value()), index(w.batch));
  forward.run(index(w.batch), index(w.batch));
  m.activations = forward.touched() + Count(16) * a.vocabulary * w.batch;  // logits and the sampler's copies

  Count vectors;  // widened when they are loaded
  for (const WeightGroup& g : a.weights)
    if (!g.multiplied && g.part != Part::embedding) vectors += g.parameters;
  m.program = Count(uint64_t(kTouchedCode * double(r.program))) + kHeapAndStacks + Count(kTensorTables) * r.tensors +
              Count(4) * vectors + Count(8) * w.context * w.batch;  // token ids, read and kept
  if (r.tokenizer == 0) return m;
  const auto file = double(r.tokenizer);
  const Count after = kTokenizerFixed + uint64_t(kTokenizerFactor * file);
  const Count reading = kTokenizerFixed + uint64_t(kTokenizerReading * file);
  // The tokenizer is read before there is a cache or scratch: their memory is taken where its JSON was.
  const Count later = m.kv + m.state + m.activations + after;
  m.program += after + (reading > later ? reading.value() - later.value() : 0);
  return m;
}

uint64_t program_size() {
  std::ifstream maps("/proc/self/maps");
  uint64_t sum = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" /") == std::string::npos) continue;  // memory without a file
    char* end = nullptr;
    const uint64_t first = std::strtoull(line.c_str(), &end, 16);
    if (*end == '-') sum += std::strtoull(end + 1, nullptr, 16) - first;
  }
  return sum;
}

}  // namespace nemotron
