// ReadAhead: the pages that hold what was asked for, each once; common bytes are kept without being asked for.

#include "base/read_ahead.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/disk.h"
#include "base/map.h"
#include "folders.h"

namespace nemotron {
namespace {

class MappedFile {
 public:
  explicit MappedFile(size_t size) {
    write_text(folder_ / "file", std::string(size, 'x'));
    map_ = File(folder_ / "file").map();
  }
  ReadAhead::Bytes bytes(size_t begin, size_t end) const { return {map_.data() + begin, end - begin}; }
  std::filesystem::path path() const { return folder_ / "file"; }

 private:
  TemporaryFolder folder_;
  Map map_;
};

TEST(read_ahead, asks_for_each_page_once) {
  const auto page = size_t(sysconf(_SC_PAGESIZE));
  const MappedFile file(100 * page);
  ReadAhead ahead;
  EXPECT_TRUE(ahead.wants_common());
  ahead.ask();
  EXPECT_EQ(ahead.asked(), 0u);
  ahead.add({});
  ahead.add(file.bytes(10 * page + 5, 10 * page + 6));
  ahead.ask();
  EXPECT_EQ(ahead.asked(), page);
  ahead.ask();
  EXPECT_EQ(ahead.asked(), page) << "what was asked for is forgotten";
  ahead.add(file.bytes(50 * page, 90 * page + 1));  // 41 pages, in any order
  ahead.add(file.bytes(20 * page + 1, 21 * page - 1));
  ahead.add(file.bytes(20 * page + 7, 22 * page));  // a page more
  ahead.add(file.bytes(60 * page, 61 * page));      // nothing new
  ahead.ask();
  EXPECT_EQ(ahead.asked(), (1 + 41 + 2) * page);
}

TEST(read_ahead, keeps_common_bytes_by_itself) {
  const MappedFile file(5'000'000);
  const ReadAhead::Bytes all = file.bytes(0, 5'000'000);
  const ReadAhead keeps({}, {all}, true);
  for (int i = 0; i < 1000 && keeps.wants_common(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(keeps.wants_common());
  const ReadAhead cannot({}, {all}, false);
  EXPECT_TRUE(cannot.wants_common());
}

TEST(disk, has_a_speed_or_says_so) {
  const MappedFile file(8 << 20);
  const std::vector<std::filesystem::path> files = {file.path()};
  const double speed = random_read_speed(files, 100'000, 0.02);
  EXPECT_TRUE(speed == 0 || (speed > 1e4 && speed < 1e12)) << speed;
  const std::vector<std::filesystem::path> none = {"/nonexistent/file", "/"};
  EXPECT_EQ(random_read_speed(none, 100'000, 0.02), 0);
  EXPECT_EQ(random_read_speed({}, 0, 0.02), 0);
  const MappedFile small(1000);
  const std::vector<std::filesystem::path> smalls = {small.path()};
  EXPECT_EQ(random_read_speed(smalls, 4096, 0.02), 0);
}

}  // namespace
}  // namespace nemotron
