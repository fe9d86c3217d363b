// What a model remembers of its sequences: pages of keys and values, convolution tails, Mamba states.

#pragma once

#include <memory>
#include <vector>

#include "model/config.h"
#include "ops/ops.h"

namespace nemotron {

// 64-byte aligned memory that starts as zeros.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size);  // throws std::bad_alloc
  std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[], void (*)(std::byte*)> data_{nullptr, [](std::byte*) {}};
  size_t size_ = 0;
};

// How a state is stored, and the key of its rounding noise.
struct StateFormat {
  Real real = Real::f32;  // the backend's
  KvFormat kv = KvFormat::real;
  SsmFormat ssm = SsmFormat::real;
  uint64_t seed = 0;
};

// One sequence in one layer; only the members of the layer's kind are in use.
struct LayerState {
  std::vector<Buffer> pages;          // attention: K then V, as ops.h lays them out
  std::vector<std::byte*> page_data;  // their addresses, as ops take them
  Buffer conv;                        // mamba: [K-1, CD] reals, the last rows before the convolution, oldest first
  Buffer ssm;                         // mamba: [NH, P, round_up(N, 16)]
};

struct Sequence {
  index position = 0;  // tokens seen
  std::vector<LayerState> layers;
};

// The sequences that a batch's segments name by slot. Not thread-safe.
class State {
 public:
  // `first_layer` numbers the layers for the rounding noise: 0 for a model, its number of layers for its MTP block.
  State(const Config& config, std::vector<LayerKind> kinds, const StateFormat& format, uint32_t first_layer = 0);

  // A new sequence at position 0; returns its slot.
  int add();
  // A new sequence that stands where `slot` does; returns its slot.
  int copy(int slot);
  Sequence& operator[](int slot) { return sequences_[size_t(slot)]; }
  const Sequence& operator[](int slot) const { return sequences_[size_t(slot)]; }
  int size() const { return int(sequences_.size()); }

  const StateFormat& format() const { return format_; }
  const std::vector<LayerKind>& kinds() const { return kinds_; }
  size_t page_bytes() const { return page_bytes_; }
  size_t conv_bytes() const { return conv_bytes_; }
  size_t ssm_bytes() const { return ssm_bytes_; }
  size_t bytes() const;  // all that is held now

  // Makes room for `count` more positions of a slot in every attention layer.
  void reserve(int slot, index count);

  // Views for the ops, one a segment.
  std::vector<KvCache> kv(size_t layer, std::span<const Segment> segments, float k_scale, float v_scale) const;
  std::vector<Rows> conv_tails(size_t layer, std::span<const Segment> segments) const;
  std::vector<SsmState> ssm(size_t layer, std::span<const Segment> segments) const;

  // Moves each segment's sequence on by the segment's rows.
  void advance(std::span<const Segment> segments);

 private:
  std::vector<LayerKind> kinds_;
  StateFormat format_;
  uint32_t first_layer_;
  index conv_rows_, conv_cols_;
  size_t page_bytes_, conv_bytes_, ssm_bytes_;
  std::vector<Sequence> sequences_;
};

}  // namespace nemotron
