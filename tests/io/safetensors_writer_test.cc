// The shard writer: what it writes reads back, where it cuts, what it leaves when it is stopped, and how little memory
// it takes.

#include "io/safetensors_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "folders.h"

namespace nemotron {
namespace {

Tensor tensor(const std::string& name, Dtype dtype, const Shape& shape) {
  uint64_t bytes = dtype_size(dtype);
  for (const index n : shape) bytes *= uint64_t(n);
  return {name, dtype, shape, 0, 0, bytes};
}

// Byte k of row r of tensor i.
uint8_t byte_of(size_t i, index r, uint64_t k) { return uint8_t(i * 31 + size_t(r) * 7 + k); }

ShardWriter::Fill fill_with(const ShardWriter& writer) {
  return [&writer](size_t i, index begin, index end, uint8_t* out) {
    const Tensor& t = writer.tensors()[i];
    const uint64_t row_bytes = t.bytes / uint64_t(t.shape.empty() ? 1 : t.shape[0]);
    for (index r = begin; r < end; ++r)
      for (uint64_t k = 0; k < row_bytes; ++k) *out++ = byte_of(i, r, k);
  };
}

const std::vector<Tensor> kTensors = {tensor("bytes", Dtype::u8, {7, 3}),     tensor("scalar", Dtype::f32, {}),
                                      tensor("halves", Dtype::bf16, {5, 11}), tensor("codes", Dtype::f8_e4m3, {9}),
                                      tensor("one", Dtype::f32, {1}),         tensor("wide", Dtype::bf16, {300, 1000}),
                                      tensor("taps", Dtype::bf16, {4, 1, 4})};

TEST(ShardWriter, what_it_writes_reads_back_whatever_the_cut) {
  for (const uint64_t shard_bytes : {uint64_t{1}, uint64_t{150}, uint64_t{600'100}, ShardWriter::kShardBytes}) {
    const TemporaryFolder folder;
    const ShardWriter writer(folder.path(), kTensors, shard_bytes);
    Threads threads(2);
    uint64_t seen = 0;
    for (size_t s = 0; s < writer.shards(); ++s) {
      EXPECT_FALSE(writer.has(s));
      EXPECT_TRUE(writer.write(s, fill_with(writer), threads, [&](uint64_t bytes) { return seen += bytes, true; }));
      EXPECT_TRUE(writer.has(s));
      EXPECT_EQ(std::filesystem::file_size(writer.path(s)), writer.file_bytes(s));
    }
    writer.write_index();
    EXPECT_EQ(seen, writer.total_bytes());
    std::vector<std::string> warnings;
    const Safetensors read = Safetensors::open_folder(folder.path(), warnings);
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(read.files().size(), shard_bytes == 1 ? kTensors.size() : writer.shards());
    ASSERT_EQ(read.tensors().size(), kTensors.size());
    for (size_t i = 0; i < kTensors.size(); ++i) {
      const Tensor* t = read.find(kTensors[i].name);
      ASSERT_NE(t, nullptr);
      EXPECT_EQ(t->dtype, kTensors[i].dtype);
      EXPECT_EQ(t->shape, kTensors[i].shape);
      EXPECT_EQ(t->offset, writer.tensors()[i].offset);
      EXPECT_EQ(t->offset % dtype_size(t->dtype), 0u) << "not aligned";
      const index rows = t->shape.empty() ? 1 : t->shape[0];
      const uint64_t row_bytes = t->bytes / uint64_t(rows);
      for (index r = 0; r < rows; ++r)
        for (uint64_t k = 0; k < row_bytes; ++k)
          ASSERT_EQ(read.data(*t)[uint64_t(r) * row_bytes + k], byte_of(i, r, k)) << t->name;
    }
  }
}

TEST(ShardWriter, a_stopped_shard_leaves_nothing) {
  const TemporaryFolder folder;
  const ShardWriter writer(folder.path(), kTensors);
  Threads threads(1);
  EXPECT_FALSE(writer.write(0, fill_with(writer), threads, [](uint64_t) { return false; }));
  EXPECT_FALSE(writer.has(0));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ShardWriter, another_file_of_the_same_size_is_not_its_shard) {
  const TemporaryFolder folder;
  const ShardWriter writer(folder.path(), kTensors);
  write_text(writer.path(0), std::string(writer.file_bytes(0), 'x'));
  EXPECT_FALSE(writer.has(0));
}

TEST(ShardWriter, holes_have_the_true_size_and_take_no_room) {
  const TemporaryFolder folder;
  const ShardWriter writer(folder.path(), {tensor("large", Dtype::bf16, {1 << 20, 1 << 10})});
  writer.write_hole(0);
  EXPECT_TRUE(writer.has(0));
  struct stat status = {};
  ASSERT_EQ(stat(writer.path(0).c_str(), &status), 0);
  EXPECT_EQ(uint64_t(status.st_size), writer.file_bytes(0));
  EXPECT_LT(uint64_t(status.st_blocks) * 512, uint64_t{1} << 20);
  const Safetensors read = Safetensors::open(writer.path(0));
  EXPECT_EQ(read.data(read.tensors()[0])[uint64_t{1} << 30], 0);
}

uint64_t peak_memory() {  // in KiB
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6));
  return 0;
}

TEST(ShardWriter, memory_is_one_buffer_however_large_the_shard) {
  const TemporaryFolder folder;
  const ShardWriter writer(folder.path(), {tensor("a", Dtype::u8, {1000, 200'000}), tensor("b", Dtype::u8, {1, 9})});
  Threads threads(2);
  const uint64_t before = peak_memory();
  const ShardWriter::Fill nothing = [](size_t, index, index, uint8_t*) {};
  EXPECT_TRUE(writer.write(0, nothing, threads, [](uint64_t) { return true; }));
  EXPECT_LT(peak_memory() - before, 40'000u);
}

}  // namespace
}  // namespace nemotron
