// Makes a checkpoint folder of the true layout with random weights, streamed to disk; or of headers alone.

#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/threads.h"
#include "io/safetensors_writer.h"
#include "model/recipe.h"

namespace nemotron {

struct RandomCheckpointOptions {
  Recipe recipe = Recipe::bf16;
  // First and last of the layers to keep, by their numbers in the whole model; the MTP block is then left out. Their
  // weights and formats are those that they have in the whole model.
  std::optional<std::pair<index, index>> layers = {};
  uint64_t seed = 0;
  bool headers_only = false;  // holes in place of weights
  std::filesystem::path tokenizer =
      {};  // copy the tokenizer of this folder; empty: make one up (io/random_tokenizer.h)
  uint64_t shard_bytes = ShardWriter::kShardBytes;
};

struct RandomCheckpointProgress {
  uint64_t done = 0, total = 0;  // bytes of weights; `done` begins at what was there already
  size_t shard = 0, shards = 0;
};

struct RandomCheckpoint {
  bool finished = false;  // false: `step` ended it, and the same call goes on from the next shard
  uint64_t tensors = 0, bytes = 0, parameters = 0;
  size_t shards = 0, kept = 0;  // files of weights; those that an earlier run had finished
  std::vector<std::string> warnings;
};

// The config of some layers of a model: its schedule cut, without its MTP block. Throws Error for layers that are none.
Json slice_config(const Json& config, const std::string& where, index first, index last);

// Writes folder `out` from a config.json (`where` names it in errors). `out` must be absent, or empty, or hold an
// interrupted run of the same call, which is then gone on with. config.json is written last, so what has it is whole.
// `step` is called every few megabytes; false stops. Throws Error: a bad config, a folder that holds something else,
// too little room on the disk, a failed write.
RandomCheckpoint make_random_checkpoint(const Json& config, const std::string& where, const std::filesystem::path& out,
                                        const RandomCheckpointOptions& options, Threads& threads,
                                        const std::function<bool(const RandomCheckpointProgress&)>& step);

}  // namespace nemotron
