// Scratch memory for activations: taken piece by piece, given back all at once.

#pragma once

#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron {

// Pieces stay valid until the arena is rewound to a mark taken before them; blocks are kept for the next time.
class Arena {
 public:
  struct Mark {
    size_t block = 0, used = 0;
  };

  // 64-byte aligned, not initialised. Throws std::bad_alloc.
  void* bytes(size_t count);
  template <class T>
  T* array(size_t count) {
    return static_cast<T*>(bytes(count * sizeof(T)));
  }
  Rows rows(Real real, index rows, index cols) {
    return {bytes(size_t(rows) * size_t(cols) * real_size(real)), real, rows, cols, cols};
  }

  Mark mark() const { return {block_, used_}; }
  void rewind(Mark m) { block_ = m.block, used_ = m.used; }

 private:
  struct Block {
    std::unique_ptr<std::byte[], void (*)(std::byte*)> data;
    size_t size;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0, used_ = 0;  // the next piece starts at blocks_[block_].data + used_
};

// Rewinds an arena when a scope ends.
class Scratch {
 public:
  explicit Scratch(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~Scratch() { arena_.rewind(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace nemotron
