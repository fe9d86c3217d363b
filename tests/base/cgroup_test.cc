// Control groups: limits of the group and of its parents, in both versions, and what of the usage is page cache.

#include "base/cgroup.h"

#include <gtest/gtest.h>

#include "folders.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;

class CgroupTree {
 public:
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((folder_ / path).parent_path());
    write_text(folder_ / path, text);
  }
  ControlGroups read(const std::string& list) const {
    write("list", list);
    return control_groups(folder_ / "list", folder_.path());
  }

 private:
  TemporaryFolder folder_;
};

TEST(cgroup, version_2_takes_the_tightest_of_the_group_and_its_parents) {
  const CgroupTree tree;
  tree.write("a/memory.max", "1000000\n");
  tree.write("a/memory.current", "900000\n");
  tree.write("a/memory.stat", "anon 100000\nfile 800000\ninactive_file 600000\nactive_file 100000\nshmem 100000\n");
  tree.write("a/cpu.max", "250000 100000\n");
  tree.write("a/b/memory.max", "max\n");
  tree.write("a/b/memory.current", "800000\n");
  tree.write("a/b/cpu.max", "max 100000\n");
  const ControlGroups g = tree.read("0::/a/b\n");
  EXPECT_EQ(g.memory, 1000000u);
  EXPECT_EQ(g.left, 800000u) << "shared memory is no cache that can be dropped";
  EXPECT_EQ(g.cpus, 2.5);
  const ControlGroups elsewhere = tree.read("0::/c\n");
  EXPECT_EQ(elsewhere.memory, ControlGroups::kNoLimit);
  EXPECT_EQ(elsewhere.left, ControlGroups::kNoLimit);
  EXPECT_GT(elsewhere.cpus, 1e9);
}

TEST(cgroup, version_1_has_a_tree_for_each_controller) {
  const CgroupTree tree;
  tree.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  tree.write("memory/memory.usage_in_bytes", "5000000\n");
  tree.write("memory/d/memory.limit_in_bytes", "4000000\n");
  tree.write("memory/d/memory.usage_in_bytes", "3900000\n");
  tree.write("memory/d/memory.stat", "inactive_file 1\ntotal_inactive_file 2000000\ntotal_active_file 900000\n");
  tree.write("cpu/e/cpu.cfs_quota_us", "50000\n");
  tree.write("cpu/e/cpu.cfs_period_us", "100000\n");
  tree.write("cpu/cpu.cfs_quota_us", "-1\n");
  tree.write("cpu/cpu.cfs_period_us", "100000\n");
  const ControlGroups g = tree.read("4:memory:/d\n2:cpu,cpuacct:/e\n0::/\n");
  EXPECT_EQ(g.memory, 4000000u);
  EXPECT_EQ(g.left, 3000000u);
  EXPECT_EQ(g.cpus, 0.5);
}

// Without a namespace of its own a container is told the path of the machine, and sees only its own group, as the root.
TEST(cgroup, a_container_sees_its_limits_at_the_root) {
  const CgroupTree tree;
  tree.write("memory.max", "2000\n");
  tree.write("memory.current", "500\n");
  for (const char* list : {"0::/docker/0123\n", "0::/../other\n", "0::/\n"}) {
    const ControlGroups g = tree.read(list);
    EXPECT_EQ(g.memory, 2000u) << list;
    EXPECT_EQ(g.left, 1500u) << list;
  }
}

TEST(cgroup, usage_beyond_the_limit_leaves_nothing) {
  const CgroupTree tree;
  tree.write("memory.max", "2000\n");
  tree.write("memory.current", "2500\n");
  tree.write("memory.stat", "inactive_file 100\n");
  EXPECT_EQ(tree.read("0::/\n").left, 0u);
}

TEST(cgroup, what_makes_no_sense_is_no_limit) {
  const CgroupTree tree;
  tree.write("memory.max", "lots\n");
  tree.write("cpu.max", "0 0\n");
  for (const char* list : {"", "no colons\n", "0::\n", "::::\n", "0::/\n"})
    EXPECT_EQ(tree.read(list).memory, ControlGroups::kNoLimit) << list;
  EXPECT_GT(tree.read("0::/\n").cpus, 1e9);
}

}  // namespace
}  // namespace nemotron
