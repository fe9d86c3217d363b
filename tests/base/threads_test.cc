// The thread pool: every index once, whatever the pieces; exceptions come back; many rounds; more threads than cores.

#include "base/threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>

#include "base/error.h"

namespace nemotron {
namespace {

TEST(threads, visit_every_index_once_for_any_pieces) {
  for (const int count : {1, 2, 3, 5, 16}) {
    Threads threads(count);
    EXPECT_EQ(threads.count(), count);
    for (const int64_t n : {0, 1, 2, 3, 7, 64, 1000}) {
      for (const int64_t grain : {-1, 0, 1, 2, 3, 64, 999, 1000, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
        threads.parallel(n, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_TRUE(0 <= thread && thread < count);
          EXPECT_TRUE(0 <= begin && begin < end && end <= n);
          EXPECT_LE(end - begin, std::max<int64_t>(grain, 1));
          for (int64_t i = begin; i < end; ++i) visits[size_t(i)].fetch_add(1, std::memory_order_relaxed);
        });
        for (int64_t i = 0; i < n; ++i)
          ASSERT_EQ(visits[size_t(i)].load(), 1) << "index " << i << " of " << n << " by " << grain;
      }
    }
  }
}

TEST(threads, show_their_writes_to_the_caller_and_to_the_next_loop) {
  Threads threads(4);
  std::vector<int> a(500), b(500);  // plain memory: the pool itself has to order what is written
  for (int round = 1; round <= 200; ++round) {
    threads.parallel(500, 7, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) a[size_t(i)] = round + int(i);
    });
    threads.parallel(500, 11, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) b[size_t(i)] = a[size_t(499 - i)];
    });
    for (int i = 0; i < 500; ++i) ASSERT_EQ(b[size_t(i)], round + 499 - i);
  }
}

TEST(threads, give_a_room_of_its_own_to_each_thread) {
  Threads threads(5);
  std::vector<int64_t> sums(5);  // each touched by one thread only
  threads.parallel(1000, 1, [&](int64_t begin, int64_t, int thread) { sums[size_t(thread)] += begin; });
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), int64_t{0}), 999 * 1000 / 2);
}

TEST(threads, share_the_work) {
  // Each piece waits until both threads hold one: it can only end if both run.
  Threads threads(2);
  std::atomic<int> inside{0};
  threads.parallel(2, 1, [&](int64_t, int64_t, int) {
    inside.fetch_add(1);
    while (inside.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(inside.load(), 2);
}

TEST(threads, bring_the_first_exception_back_and_go_on) {
  for (const int count : {1, 2, 7}) {
    Threads threads(count);
    for (int round = 0; round < 50; ++round) {
      const int64_t bad = round % 20;
      const auto loop = [&] {
        threads.parallel(20, 1, [&](int64_t begin, int64_t, int) {
          if (begin == bad) throw std::runtime_error("piece " + std::to_string(bad));
        });
      };
      try {
        loop();
        FAIL() << "no exception";
      } catch (const std::runtime_error& e) {
        EXPECT_EQ(e.what(), "piece " + std::to_string(bad));
      }
      std::atomic<int> visited{0};
      threads.parallel(20, 1, [&](int64_t, int64_t, int) { ++visited; });
      EXPECT_EQ(visited.load(), 20) << "a loop after an exception";
    }
    // Every piece throws: one exception comes back, the others are gone with the round.
    EXPECT_THROW(threads.parallel(100, 1, [](int64_t, int64_t, int) { throw std::logic_error("all"); }),
                 std::logic_error);
    EXPECT_NO_THROW(threads.parallel(100, 1, [](int64_t, int64_t, int) {}));
  }
}

TEST(threads, wake_up_after_a_rest) {
  Threads threads(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // long past spinning
    std::atomic<int> visited{0};
    threads.parallel(30, 1, [&](int64_t, int64_t, int) { ++visited; });
    EXPECT_EQ(visited.load(), 30);
  }
}

TEST(threads, end_whatever_they_are_about_to_do) {
  for (int i = 0; i < 3000; ++i) {
    Threads threads(2 + i % 2);
    for (int rounds = i % 4; rounds > 0; --rounds) threads.parallel(4, 1, [](int64_t, int64_t, int) {});
    std::atomic<int> wait{0};  // the end comes at another moment of the workers' every time
    while (wait++ < i % 1000) continue;
  }
}

TEST(threads, are_at_least_one_and_not_too_many) {
  EXPECT_THROW(Threads(0), Error);
  EXPECT_THROW(Threads(-1), Error);
  EXPECT_THROW(Threads(Threads::kMost + 1), Error);
  EXPECT_GE(Threads::physical_cores(), 1);
  EXPECT_LE(Threads::physical_cores(), int(std::max(1u, std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace nemotron
