// State: sizes from the config, memory as sequences grow, views for the ops.

#include "model/state.h"

#include <cstring>
#include <new>

namespace nemotron {
namespace {

constexpr size_t kAlign = 64;

void release(std::byte* p) { ::operator delete[](p, std::align_val_t(kAlign)); }

}  // namespace

Buffer::Buffer(size_t size) : data_(new (std::align_val_t(kAlign)) std::byte[size], release), size_(size) {
  std::memset(data_.get(), 0, size);
}

State::State(const Config& c, std::vector<LayerKind> kinds, const StateFormat& format, uint32_t first_layer)
    : kinds_(std::move(kinds)),
      format_(format),
      first_layer_(first_layer),
      conv_rows_(c.conv_kernel - 1),
      conv_cols_(c.conv_channels()),
      page_bytes_(size_t(2 * c.kv_width() * kPage) * kv_size(format.kv, format.real)),
      conv_bytes_(size_t(conv_rows_ * conv_cols_) * real_size(format.real)),
      ssm_bytes_(size_t(c.mamba_inner() * round_up(c.ssm_state_size, kLanes)) * ssm_size(format.ssm, format.real)) {}

int State::add() {
  Sequence sequence;
  for (const LayerKind kind : kinds_) {
    LayerState& layer = sequence.layers.emplace_back();
    if (kind == LayerKind::mamba) {
      layer.conv = Buffer(conv_bytes_);
      layer.ssm = Buffer(ssm_bytes_);
    }
  }
  sequences_.push_back(std::move(sequence));
  return size() - 1;
}

int State::copy(int slot) {
  const int to = add();
  const Sequence& source = (*this)[slot];
  Sequence& target = (*this)[to];
  reserve(to, source.position);
  target.position = source.position;
  const auto copy_buffer = [](const Buffer& from, const Buffer& into) {
    if (from.size() > 0) std::memcpy(into.data(), from.data(), from.size());
  };
  for (size_t i = 0; i < kinds_.size(); ++i) {
    copy_buffer(source.layers[i].conv, target.layers[i].conv);
    copy_buffer(source.layers[i].ssm, target.layers[i].ssm);
    for (size_t p = 0; p < target.layers[i].pages.size(); ++p)
      copy_buffer(source.layers[i].pages[p], target.layers[i].pages[p]);
  }
  return to;
}

size_t State::bytes() const {
  size_t total = 0;
  for (const Sequence& s : sequences_)
    for (const LayerState& l : s.layers) total += l.pages.size() * page_bytes_ + l.conv.size() + l.ssm.size();
  return total;
}

void State::reserve(int slot, index count) {
  Sequence& sequence = sequences_[size_t(slot)];
  const auto pages = size_t((sequence.position + count + kPage - 1) / kPage);
  for (size_t i = 0; i < kinds_.size(); ++i) {
    if (kinds_[i] != LayerKind::attention) continue;
    LayerState& layer = sequence.layers[i];
    while (layer.pages.size() < pages) {
      layer.pages.emplace_back(page_bytes_);
      layer.page_data.push_back(layer.pages.back().data());
    }
  }
}

std::vector<KvCache> State::kv(size_t layer, std::span<const Segment> segments, float k_scale, float v_scale) const {
  std::vector<KvCache> caches;
  for (const Segment& s : segments) {
    const Sequence& sequence = sequences_[size_t(s.slot)];
    caches.push_back({sequence.layers[layer].page_data.data(), format_.kv, k_scale, v_scale, sequence.position});
  }
  return caches;
}

std::vector<Rows> State::conv_tails(size_t layer, std::span<const Segment> segments) const {
  std::vector<Rows> tails;
  for (const Segment& s : segments)
    tails.push_back(
        {sequences_[size_t(s.slot)].layers[layer].conv.data(), format_.real, conv_rows_, conv_cols_, conv_cols_});
  return tails;
}

std::vector<SsmState> State::ssm(size_t layer, std::span<const Segment> segments) const {
  std::vector<SsmState> states;
  for (const Segment& s : segments) {
    const Sequence& sequence = sequences_[size_t(s.slot)];
    states.push_back({sequence.layers[layer].ssm.data(), format_.ssm, format_.seed, first_layer_ + uint32_t(layer),
                      sequence.position});
  }
  return states;
}

void State::advance(std::span<const Segment> segments) {
  for (const Segment& s : segments) sequences_[size_t(s.slot)].position += s.size();
}

}  // namespace nemotron
