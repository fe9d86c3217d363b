// The arena: aligned pieces that never overlap, marks that give back, and blocks that are kept.

#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <new>

namespace nemotron {
namespace {

TEST(arena, hands_out_aligned_pieces_that_do_not_overlap) {
  Arena arena;
  std::vector<std::pair<unsigned char*, size_t>> pieces;
  for (size_t i = 0; i < 200; ++i) {
    const size_t size = i % 50 == 49 ? (size_t{1} << 20) + i : i * 37 % 5000;  // none, small, and larger than a block
    auto* p = static_cast<unsigned char*>(arena.bytes(size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
    std::memset(p, int(i), size);
    pieces.emplace_back(p, size);
  }
  for (size_t i = 0; i < pieces.size(); ++i)
    for (size_t j = 0; j < pieces[i].second; ++j) ASSERT_EQ(pieces[i].first[j], i % 256) << "piece " << i;
}

TEST(arena, gives_the_same_memory_again_after_a_rewind) {
  Arena arena;
  void* kept = arena.bytes(100);
  const Arena::Mark mark = arena.mark();
  std::vector<void*> first;
  for (int i = 0; i < 40; ++i) first.push_back(arena.bytes(100000));  // several blocks
  for (int round = 0; round < 3; ++round) {
    arena.rewind(mark);
    for (void* p : first) EXPECT_EQ(arena.bytes(100000), p);
  }
  EXPECT_NE(arena.bytes(1), kept);
}

TEST(arena, keeps_pieces_that_are_older_than_a_mark) {
  Arena arena;
  auto* old = arena.array<int>(1000);
  for (int i = 0; i < 1000; ++i) old[i] = i;
  for (int round = 0; round < 5; ++round) {
    const Scratch outer(arena);
    std::memset(arena.bytes(2000000), 0xEE, 2000000);
    {
      const Scratch inner(arena);
      std::memset(arena.bytes(3000000), 0xDD, 3000000);
    }
    std::memset(arena.bytes(500), 0xCC, 500);
  }
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(old[i], i);
}

TEST(arena, skips_a_block_that_is_too_small_and_comes_back_to_it) {
  Arena arena;
  const Arena::Mark start = arena.mark();
  void* small = arena.bytes(10);
  arena.bytes(size_t{5} << 20);
  arena.rewind(start);
  arena.bytes(size_t{4} << 20);  // does not fit the first block
  arena.rewind(start);
  EXPECT_EQ(arena.bytes(10), small);
}

TEST(arena, makes_rows_of_either_number) {
  Arena arena;
  const Rows f = arena.rows(Real::f32, 3, 5), d = arena.rows(Real::f64, 2, 7), none = arena.rows(Real::f32, 0, 0);
  f.row<float>(2)[4] = 1, d.row<double>(1)[6] = 2;
  EXPECT_EQ(f.row<float>(2) - f.row<float>(0), 10);
  EXPECT_EQ(d.row<double>(1) - d.row<double>(0), 7);
  EXPECT_EQ(d.col_range(2, 7).row_range(1, 2).row<double>(0)[4], 2);
  EXPECT_EQ(d.col_range(2, 7).cols, 5);
  EXPECT_NE(none.data, nullptr);
}

TEST(arena, refuses_what_no_machine_has) {
  Arena arena;
  EXPECT_THROW(arena.bytes(SIZE_MAX), std::bad_alloc);
  EXPECT_THROW(arena.bytes(SIZE_MAX / 2 + 1), std::bad_alloc);
}

}  // namespace
}  // namespace nemotron
