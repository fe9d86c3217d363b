// Writes the weights of a checkpoint folder as shards: sizes are known before data, and memory is one buffer.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "io/safetensors.h"

namespace nemotron {

// The weight files of one folder: model.safetensors, or model-00001-of-0000N.safetensors and so on with their index.
// Within a file the widest dtypes come first, as the reference library writes them, so that every tensor is aligned;
// apart from that the order is the given one.
class ShardWriter {
 public:
  static constexpr uint64_t kShardBytes = 5'000'000'000;  // what transformers cuts at, and the releases were cut at

  // `tensors` need name, dtype, shape and bytes; a tensor larger than `shard_bytes` gets a file of its own.
  ShardWriter(std::filesystem::path folder, std::vector<Tensor> tensors, uint64_t shard_bytes = kShardBytes);

  const std::vector<Tensor>& tensors() const { return tensors_; }  // as given, with `file` and `offset`
  size_t shards() const { return shards_.size(); }
  std::filesystem::path path(size_t shard) const;
  uint64_t file_bytes(size_t shard) const;  // header included
  uint64_t total_bytes() const;             // of the data of all tensors

  // Whether a shard is there already: a file of its size with its header.
  bool has(size_t shard) const;

  // Puts rows [begin, end) of the leading dimension of tensor i at `out`; scalars are one row. Called by several
  // threads at once, in any order.
  using Fill = std::function<void(size_t tensor, index begin, index end, uint8_t* out)>;
  // Called after each buffer with the bytes it added; false ends the writing.
  using Step = std::function<bool(uint64_t bytes)>;

  // Writes one shard, which appears under its name once it is whole. False if `step` ended it; nothing is left then.
  // Throws Error for a failed write.
  bool write(size_t shard, const Fill& fill, Threads& threads, const Step& step) const;

  // The same file with a hole for its data: zeros that take no place on disk.
  void write_hole(size_t shard) const;

  // model.safetensors.index.json, where there is more than one shard.
  void write_index() const;

 private:
  struct Shard {
    std::vector<uint32_t> members;  // tensors, in the order of the file
    uint64_t data_bytes = 0;
  };
  std::string header(size_t shard) const;  // with the eight bytes of its length

  std::filesystem::path folder_;
  std::vector<Tensor> tensors_;
  std::vector<Shard> shards_;
};

}  // namespace nemotron
