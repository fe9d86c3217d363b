// Vocabulary: one text arena, an array by id and a hash table by bytes.

#include "text/vocabulary.h"

#include <bit>
#include <cstring>
#include <random>

#include "text/byte_level.h"

namespace nemotron {
namespace {

uint64_t process_key() {
  static const uint64_t key = [] {
    std::random_device device;
    return uint64_t(device()) << 32 | device();
  }();
  return key;
}

// Both halves of a 64 × 64 bit product, folded.
uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return uint64_t(product) ^ uint64_t(product >> 64);
}

constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u, kOdd2 = 0xD1B54A32D192ED03u;

}  // namespace

uint64_t keyed_hash(uint64_t value) { return mix(value ^ process_key(), kOdd1); }

uint64_t keyed_hash(std::string_view bytes) {
  uint64_t hash = process_key() ^ bytes.size() * kOdd2;
  while (bytes.size() > 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    hash = mix(hash ^ word, kOdd1);
    bytes.remove_prefix(8);
  }
  uint64_t word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  return mix(mix(hash ^ word, kOdd1) ^ kOdd2, process_key() | 1);
}

void Vocabulary::reserve(size_t entries) {
  entries_.reserve(std::min(entries, size_t(kMaxIds)));
  text_.reserve(entries * 16);
  grow(std::bit_ceil(entries * 2 + 2));
}

std::string_view Vocabulary::content(int32_t id) const {
  const Entry& entry = entries_[size_t(id)];
  return std::string_view(text_).substr(entry.content, entry.content_length);
}

std::string_view Vocabulary::bytes(int32_t id) const {
  const Entry& entry = entries_[size_t(id)];
  return std::string_view(text_).substr(entry.bytes, entry.bytes_length);
}

Vocabulary::Added Vocabulary::add(int32_t id, std::string_view content, bool in_model) {
  if (has(id)) return Added::kIdTaken;
  if (find(content) != kNone) return Added::kContentTaken;
  if (id >= size()) entries_.resize(size_t(id) + 1);
  Entry& entry = entries_[size_t(id)];
  entry.content = uint32_t(text_.size());
  entry.content_length = uint32_t(content.size());
  text_ += content;
  entry.bytes = uint32_t(text_.size());
  entry.plain = append_bytes_of(content, text_);
  if (entry.plain) {
    entry.bytes_length = uint32_t(text_.size()) - entry.bytes;
  } else {
    entry.bytes = entry.content;
    entry.bytes_length = entry.content_length;
  }
  entry.present = true;
  ++count_;
  if (entry.plain && in_model) {
    if (++plain_ * 2 > slots_.size()) grow(std::bit_ceil(plain_ * 4));
    place(id);
  } else {
    unusual_.emplace(content, id);
  }
  return Added::kDone;
}

void Vocabulary::grow(size_t slots) {
  if (slots <= slots_.size()) return;
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id != kNone) place(slot.id);
  }
}

void Vocabulary::place(int32_t id) {
  const uint64_t hash = keyed_hash(bytes(id));
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id != kNone) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {uint32_t(hash >> 32), id};
}

int32_t Vocabulary::find_bytes(std::string_view wanted) const {
  if (slots_.empty()) return kNone;
  const uint64_t hash = keyed_hash(wanted);
  for (size_t at = hash & (slots_.size() - 1); slots_[at].id != kNone; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].tag == uint32_t(hash >> 32) && bytes(slots_[at].id) == wanted) return slots_[at].id;
  }
  return kNone;
}

int32_t Vocabulary::find(std::string_view content) const {
  thread_local std::string bytes;
  bytes.clear();
  if (append_bytes_of(content, bytes)) {
    if (const int32_t id = find_bytes(bytes); id != kNone) return id;
  }
  const auto found = unusual_.find(std::string(content));
  return found == unusual_.end() ? kNone : found->second;
}

}  // namespace nemotron
