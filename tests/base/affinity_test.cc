// Affinity: lists of CPUs, threads that stay where they are bound, and callers that get their CPUs back.

#include "base/affinity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/threads.h"
#include "folders.h"

namespace nemotron {
namespace {

std::vector<int> cpus_of_this_thread() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<int> out;
  if (pthread_getaffinity_np(pthread_self(), sizeof mask, &mask) != 0) return out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &mask)) out.push_back(cpu);
  return out;
}

// What each thread of a pool may run on. Every thread waits for the others, so that all take part.
std::vector<std::vector<int>> cpus_of(Threads& threads) {
  std::vector<std::vector<int>> out(size_t(threads.count()));
  std::atomic<int> there{0};
  threads.parallel(threads.count(), 1, [&](int64_t, int64_t, int thread) {
    out[size_t(thread)] = cpus_of_this_thread();
    ++there;
    while (there < threads.count()) std::this_thread::yield();
  });
  return out;
}

TEST(affinity, lists_are_read_in_their_order) {
  EXPECT_TRUE(parse_affinity("").empty());
  EXPECT_TRUE(parse_affinity("none").empty());
  EXPECT_EQ(parse_affinity("cores"), first_cpus_of_cores());
  const std::vector<int> allowed = allowed_cpus();
  ASSERT_FALSE(allowed.empty());
  EXPECT_EQ(parse_affinity(std::to_string(allowed[0])), std::vector<int>{allowed[0]});
  EXPECT_EQ(parse_affinity(std::to_string(allowed[0]) + "-" + std::to_string(allowed[0])),
            std::vector<int>{allowed[0]});
  if (allowed.size() < 2) GTEST_SKIP() << "one CPU only";
  EXPECT_EQ(parse_affinity(std::to_string(allowed[1]) + "," + std::to_string(allowed[0])),
            (std::vector<int>{allowed[1], allowed[0]}));
}

TEST(affinity, what_is_no_list_is_refused_by_name) {
  for (const char* text : {",", "0,", ",0", "a", "0-", "-1", "-", "3-1", "0--1", "0 ", " 0", "0x1", "1.5", "Cores",
                           "99999999999", "0-99999999999", "+1"})
    expect_parts(error_of([&] { parse_affinity(text); }), {"--affinity", "bad list of CPUs"});
  expect_parts(error_of([] { parse_affinity("2000000000"); }), {"--affinity", "no such CPU", "2000000000"});
  const std::string first = std::to_string(allowed_cpus().at(0));
  expect_parts(error_of([&] { parse_affinity(first + "-2000000000"); }), {"--affinity", "no such CPU"});
  expect_parts(error_of([&] { parse_affinity(first + "," + first); }), {"--affinity", "twice", first});
}

TEST(affinity, there_is_a_cpu_for_each_core) {
  const std::vector<int> cores = first_cpus_of_cores(), allowed = allowed_cpus();
  EXPECT_GE(cores.size(), 1u);
  EXPECT_LE(Threads::physical_cores(), int(cores.size()));
  for (const int cpu : cores) EXPECT_TRUE(std::count(allowed.begin(), allowed.end(), cpu)) << cpu;
}

TEST(affinity, threads_stay_on_their_cpus_and_the_caller_gets_its_own_back) {
  const std::vector<int> before = cpus_of_this_thread();
  const std::vector<int> list = allowed_cpus();
  const int count = int(std::min<size_t>(list.size(), 4));
  {
    Threads threads(count);
    EXPECT_EQ(cpus_of(threads), std::vector(size_t(count), before)) << "nothing is bound by itself";
    threads.bind({});
    EXPECT_EQ(cpus_of_this_thread(), before);
    threads.bind(list);
    const auto bound = cpus_of(threads);
    for (int i = 0; i < count; ++i) EXPECT_EQ(bound[size_t(i)], std::vector<int>{list[size_t(i)]});
    EXPECT_EQ(allowed_cpus(), list) << "a bound thread answers for the process";

    Threads free_ones(2);  // started by a bound thread
    const auto others = cpus_of(free_ones);
    EXPECT_EQ(others[1], before);
    {
      Threads inner(1);
      inner.bind({&list.back(), 1});
      EXPECT_EQ(cpus_of_this_thread(), std::vector<int>{list.back()});
    }
    EXPECT_EQ(cpus_of_this_thread(), std::vector<int>{list[0]});
    threads.bind(list);  // again
    EXPECT_EQ(cpus_of_this_thread(), std::vector<int>{list[0]});
  }
  EXPECT_EQ(cpus_of_this_thread(), before);
  EXPECT_EQ(allowed_cpus(), list);
}

TEST(affinity, fewer_cpus_than_threads_are_refused) {
  const std::vector<int> before = cpus_of_this_thread();
  Threads threads(3);
  const std::vector<int> list = {allowed_cpus().at(0)};
  expect_parts(error_of([&] { threads.bind(list); }), {"--affinity", "fewer CPUs than threads", "3", "1", "--threads"});
  EXPECT_EQ(cpus_of_this_thread(), before);
}

}  // namespace
}  // namespace nemotron
