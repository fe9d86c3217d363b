// The safetensors container: an index of the tensors of one file or of a sharded folder, their mapped bytes, and the
// writer.
//
// A file is 8 bytes of header length (little endian), a JSON header {name: {dtype, shape, data_offsets}}, then the
// data, which the tensors cover exactly: no hole, no overlap, nothing after the last.

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/map.h"
#include "io/names.h"
#include "tensor/tensor.h"

namespace nemotron {

enum class Dtype : uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  u16,
  i16,
  f16,
  bf16,
  u32,
  i32,
  f32,
  u64,
  i64,
  f64,
  c64
};
const char* dtype_name(Dtype d);  // as in the file: "BF16"
size_t dtype_size(Dtype d);       // bytes an element
std::optional<Dtype> find_dtype(std::string_view name);

using Shape = std::vector<index>;
std::string shape_text(const Shape& shape);  // "[2048, 256]"

// A tensor of an index.
struct Tensor {
  std::string name;
  Dtype dtype = Dtype::u8;
  Shape shape;
  uint32_t file = 0;               // of Safetensors::files()
  uint64_t offset = 0, bytes = 0;  // where its data lies in that file
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Opening reads and checks headers only. The data is mapped, and nothing of it is touched before `data` is followed.
class Safetensors {
 public:
  // One file. Throws Error naming the file and the tensor: cut header or file, offsets that overlap, overflow, leave
  // holes or do not fit the shape, unknown dtype, duplicate name.
  static Safetensors open(const std::filesystem::path& file);

  // `model.safetensors`, or the shards that `model.safetensors.index.json` names. Throws as `open` does, and for a
  // shard that is missing, a tensor that is not where the index says, or one that the index does not mention. What is
  // odd but harmless is added to `warnings`.
  static Safetensors open_folder(const std::filesystem::path& folder, std::vector<std::string>& warnings);

  const std::vector<Tensor>& tensors() const { return tensors_; }  // by file, then by place in the file
  const Tensor* find(std::string_view name) const;
  const uint8_t* data(const Tensor& t) const { return maps_[t.file].data() + t.offset; }

  std::vector<std::span<const uint8_t>> mapped() const;  // every file's bytes

  const std::vector<std::filesystem::path>& files() const { return files_; }
  const Metadata& metadata() const { return metadata_; }  // of the first file
  uint64_t total_bytes() const;                           // of the data of all tensors

  // "DIR/model-00001-of-00002.safetensors: tensor 'lm_head.weight'", for the `where` of an Error.
  std::string where(const Tensor& t) const;

 private:
  void add_file(const std::filesystem::path& path);
  void index_names();
  void check_index(const std::filesystem::path& path, std::string_view text, std::vector<std::string>& warnings);

  std::vector<std::filesystem::path> files_;
  std::vector<Map> maps_;
  std::vector<Tensor> tensors_;
  Metadata metadata_;
  NameIndex names_;
};

// A tensor to be written: bytes of `shape` in `dtype`, row-major.
struct TensorData {
  std::string name;
  Dtype dtype = Dtype::f32;
  Shape shape;
  const void* data = nullptr;
};

// Writes the tensors in this order. The file appears whole or not at all; a failed write throws Error.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorData> tensors,
                       const Metadata& metadata = {});

}  // namespace nemotron
