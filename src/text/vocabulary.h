// The entries of a byte-level vocabulary: id, content as the file writes it, and the bytes it stands for.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nemotron {

// A hash that somebody who writes a vocabulary cannot steer: keyed anew in every process.
uint64_t keyed_hash(std::string_view bytes);
uint64_t keyed_hash(uint64_t value);

class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;
  static constexpr int32_t kMaxIds = 1 << 22;  // some fifteen times the largest published vocabulary

  void reserve(size_t entries);

  enum class Added { kDone, kContentTaken, kIdTaken };
  // `id` lies in [0, kMaxIds). An added token that the model does not have is no word of the model: find_bytes passes
  // it over.
  Added add(int32_t id, std::string_view content, bool in_model = true);

  int32_t size() const { return int32_t(entries_.size()); }  // highest id + 1
  size_t count() const { return count_; }                    // entries
  bool has(int32_t id) const { return id >= 0 && id < size() && entries_[size_t(id)].present; }

  // For an id that is there. What an entry with a character that is no stand-in "stands for" is its own UTF-8.
  std::string_view content(int32_t id) const;
  std::string_view bytes(int32_t id) const;
  bool is_plain(int32_t id) const { return entries_[size_t(id)].plain; }  // all characters are stand-ins

  int32_t find(std::string_view content) const;      // kNone if there is none
  int32_t find_bytes(std::string_view bytes) const;  // among plain entries of the model

 private:
  struct Entry {
    uint32_t content = 0, content_length = 0, bytes = 0, bytes_length = 0;  // in text_
    bool present = false, plain = false;
  };
  struct Slot {
    uint32_t tag = 0;  // the upper half of the hash
    int32_t id = kNone;
  };

  void grow(size_t slots);
  void place(int32_t id);

  std::string text_;
  std::vector<Entry> entries_;              // by id
  std::vector<Slot> slots_;                 // plain entries of the model by bytes; open addressing, at most half full
  std::map<std::string, int32_t> unusual_;  // all other entries by content
  size_t count_ = 0, plain_ = 0;
};

}  // namespace nemotron
