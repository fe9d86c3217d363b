// Arena: blocks of growing size, walked in order.

#include "tensor/arena.h"

#include <algorithm>
#include <new>

namespace nemotron {
namespace {

constexpr size_t kAlign = 64, kFirstBlock = size_t{1} << 20;

void release(std::byte* p) { ::operator delete[](p, std::align_val_t(kAlign)); }

}  // namespace

void* Arena::bytes(size_t count) {
  if (count > SIZE_MAX / 2) throw std::bad_alloc();
  count = (std::max<size_t>(count, 1) + kAlign - 1) / kAlign * kAlign;
  while (block_ < blocks_.size() && used_ + count > blocks_[block_].size) ++block_, used_ = 0;
  if (block_ == blocks_.size()) {
    const size_t size = std::max(count, blocks_.empty() ? kFirstBlock : blocks_.back().size * 2);
    blocks_.push_back({{new (std::align_val_t(kAlign)) std::byte[size], release}, size});
    used_ = 0;
  }
  void* piece = blocks_[block_].data.get() + used_;
  used_ += count;
  return piece;
}

}  // namespace nemotron
