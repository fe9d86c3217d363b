// Prefetch: the pages come without being touched, and nothing waits for them.

#include "base/prefetch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>

#include "base/map.h"
#include "base/memory.h"
#include "folders.h"

namespace nemotron {
namespace {

// Bytes of a mapping that are in this process, from /proc/self/smaps.
size_t resident(const void* data) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long from = 0, to = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2)
      here = from <= reinterpret_cast<uintptr_t>(data) && reinterpret_cast<uintptr_t>(data) < to;
    else if (here && std::sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1)
      return kib * 1024;
  }
  return 0;
}

TEST(Prefetch, brings_every_page_and_may_be_left_at_any_time) {
  const TemporaryFolder folder;
  write_text(folder / "file", std::string(size_t{40} << 20, 'x'));
  const File file(folder / "file");
  const Map map = file.map();
  EXPECT_LT(resident(map.data()), map.size() / 2) << "nothing is read before it is touched";
  {
    const Prefetch at_once({{map.data(), map.size()}});  // leaves right away
  }
  const Prefetch prefetch({{map.data(), map.size()}});
  for (int i = 0; i < 1000 && resident(map.data()) < map.size(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (resident(map.data()) == 0) GTEST_SKIP() << "MADV_POPULATE_READ needs Linux 5.14";
  EXPECT_GE(resident(map.data()), map.size());
}

TEST(Prefetch, of_a_file_cut_short_does_no_harm) {
  const TemporaryFolder folder;
  write_text(folder / "file", std::string(size_t{8} << 20, 'x'));
  const File file(folder / "file");
  const Map map = file.map();
  std::filesystem::resize_file(folder / "file", 5000);
  const Prefetch prefetch({{map.data(), map.size()}});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

TEST(memory, some_is_there) {
  EXPECT_GT(available_memory(), uint64_t{1} << 20);
  EXPECT_LE(available_memory(), total_memory());
}

}  // namespace
}  // namespace nemotron
