// The cut into shards, their headers, and the loop that fills and writes one buffer after the other.

#include "io/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "base/json.h"

namespace nemotron {
namespace {

constexpr size_t kBuffer = size_t{16} << 20;  // bytes filled by all threads, then written
constexpr uint64_t kPiece = 64 << 10;         // bytes that one thread fills at a time
constexpr size_t kMostPieces = 1 << 16;       // in a buffer, where tensors are tiny
constexpr uint64_t kMostHeader = 50'000'000;  // half of what readers take

index row_count(const Tensor& t) { return t.shape.empty() ? 1 : t.shape[0]; }

// An entry of a header, without its offsets.
std::string entry(const Tensor& t) {
  return fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":", json_quote(t.name), dtype_name(t.dtype),
                     fmt::join(t.shape, ","));
}
constexpr uint64_t kOffsetsText = 40;  // at most: brackets, two numbers of 16 digits, commas

}  // namespace

ShardWriter::ShardWriter(std::filesystem::path folder, std::vector<Tensor> tensors, uint64_t shard_bytes)
    : folder_(std::move(folder)), tensors_(std::move(tensors)), shards_(1) {
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const uint64_t text = entry(tensors_[i]).size() + kOffsetsText;
    const bool full = shards_.back().data_bytes + tensors_[i].bytes > shard_bytes || header_bytes + text > kMostHeader;
    if (full && !shards_.back().members.empty()) {
      shards_.emplace_back();
      header_bytes = 0;
    }
    shards_.back().members.push_back(uint32_t(i));
    shards_.back().data_bytes += tensors_[i].bytes;
    header_bytes += text;
  }
  for (size_t s = 0; s < shards_.size(); ++s) {
    std::stable_sort(shards_[s].members.begin(), shards_[s].members.end(), [&](uint32_t a, uint32_t b) {
      return dtype_size(tensors_[a].dtype) > dtype_size(tensors_[b].dtype);
    });
    uint64_t offset = 0;
    for (const uint32_t i : shards_[s].members) {
      tensors_[i].file = uint32_t(s);
      tensors_[i].offset = offset;  // within the data, until the header's length is known
      offset += tensors_[i].bytes;
    }
    const uint64_t begin = header(s).size();
    for (const uint32_t i : shards_[s].members) tensors_[i].offset += begin;
  }
}

std::filesystem::path ShardWriter::path(size_t shard) const {
  return folder_ / (shards_.size() == 1 ? std::string("model.safetensors")
                                        : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards_.size()));
}

std::string ShardWriter::header(size_t shard) const {
  std::string text = "{\"__metadata__\":{\"format\":\"pt\"}";
  uint64_t begin = 0;
  for (const uint32_t i : shards_[shard].members) {
    text += ',' + entry(tensors_[i]);
    fmt::format_to(std::back_inserter(text), "[{},{}]}}", begin, begin + tensors_[i].bytes);
    begin += tensors_[i].bytes;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts at a multiple of 8
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

uint64_t ShardWriter::file_bytes(size_t shard) const { return header(shard).size() + shards_[shard].data_bytes; }

uint64_t ShardWriter::total_bytes() const {
  uint64_t sum = 0;
  for (const Shard& s : shards_) sum += s.data_bytes;
  return sum;
}

bool ShardWriter::has(size_t shard) const {
  const std::string expected = header(shard);
  if (!path_exists(path(shard))) return false;
  const File file(path(shard));
  if (file.size() != expected.size() + shards_[shard].data_bytes) return false;
  std::string found(expected.size(), '\0');
  file.read(0, found.data(), found.size());
  return found == expected;
}

bool ShardWriter::write(size_t shard, const Fill& fill, Threads& threads, const Step& step) const {
  struct Piece {
    uint32_t tensor;
    index begin, end;
    size_t place;  // in the buffer
  };
  const std::string head = header(shard);
  uint64_t widest = kBuffer;
  for (const uint32_t i : shards_[shard].members)
    widest = std::max(widest, tensors_[i].bytes / uint64_t(row_count(tensors_[i])));

  // The header is written apart; data are written in whole sectors, the rest of a buffer goes before the next.
  OutputFile file(path(shard));
  constexpr size_t kSector = OutputFile::kDirect;
  const size_t size = (widest + 2 * kSector - 1) / kSector * kSector;
  const std::unique_ptr<uint8_t, decltype(&std::free)> buffer(static_cast<uint8_t*>(std::aligned_alloc(kSector, size)),
                                                              std::free);
  if (!buffer) throw std::bad_alloc();
  size_t used = 0, rest = 0;  // bytes in the buffer; of them, those of an earlier round
  const auto put = [&](size_t bytes) {
    file.write(buffer.get(), bytes);
    used = rest = used - bytes;
    std::memmove(buffer.get(), buffer.get() + bytes, used);
  };
  const size_t head_sectors = head.size() / kSector * kSector;
  file.write(head.data(), head_sectors);
  used = rest = head.size() - head_sectors;
  std::memcpy(buffer.get(), head.data() + head_sectors, used);
  file.direct(true);

  std::vector<Piece> pieces;
  const auto flush = [&] {
    threads.parallel(int64_t(pieces.size()), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t p = begin; p < end; ++p) {
        const Piece& piece = pieces[size_t(p)];
        fill(piece.tensor, piece.begin, piece.end, buffer.get() + piece.place);
      }
    });
    pieces.clear();
    const size_t made = used - rest;
    put(used / kSector * kSector);
    return step(made);
  };
  for (const uint32_t i : shards_[shard].members) {
    const index rows = row_count(tensors_[i]);
    const uint64_t row_bytes = tensors_[i].bytes / uint64_t(rows);
    const index many = index(std::max<uint64_t>(1, kPiece / row_bytes));
    for (index row = 0; row < rows; row += many) {
      const index end = std::min(rows, row + many);
      const size_t bytes = size_t(end - row) * row_bytes;
      if ((used + bytes > size || pieces.size() == kMostPieces) && !flush()) return false;
      pieces.push_back({i, row, end, used});
      used += bytes;
    }
  }
  if (!flush()) return false;
  file.direct(false);
  put(used);
  file.commit();
  return true;
}

void ShardWriter::write_hole(size_t shard) const {
  const std::string head = header(shard);
  OutputFile file(path(shard));
  file.write(head.data(), head.size());
  file.add_hole(shards_[shard].data_bytes);
  file.commit();
}

void ShardWriter::write_index() const {
  if (shards_.size() == 1) return;
  std::string text =
      fmt::format("{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{", total_bytes());
  for (const char* comma = ""; const Tensor& t : tensors_) {
    fmt::format_to(std::back_inserter(text), "{}\n    {}: {}", comma, json_quote(t.name),
                   json_quote(path(t.file).filename().string()));
    comma = ",";
  }
  text += "\n  }\n}\n";
  OutputFile file(folder_ / "model.safetensors.index.json");
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace nemotron
