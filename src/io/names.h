// Finds one of many names in logarithmic time, whatever the names: hostile ones cannot make it slow.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nemotron {

// Names are sorted by a hash and, where hashes meet, by the name itself, so that a file full of colliding names costs n
// log n as any other does. The names themselves belong to the caller and must outlive the index.
class NameIndex {
 public:
  NameIndex() = default;
  explicit NameIndex(const std::vector<std::string_view>& names) {
    entries_.reserve(names.size());
    for (size_t i = 0; i < names.size(); ++i) entries_.push_back({hash(names[i]), names[i], i});
    std::sort(entries_.begin(), entries_.end());
  }

  static constexpr size_t kNone = ~size_t{0};

  // The place of `name` in the list, the first of equal ones; or kNone.
  size_t find(std::string_view name) const {
    const Entry wanted{hash(name), name, 0};
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), wanted);
    return at != entries_.end() && at->name == name ? at->place : kNone;
  }

  // The place of a name that an earlier place holds too, or kNone.
  size_t duplicate() const {
    for (size_t i = 1; i < entries_.size(); ++i)
      if (entries_[i].name == entries_[i - 1].name) return entries_[i].place;
    return kNone;
  }

 private:
  struct Entry {
    uint64_t key;
    std::string_view name;
    size_t place;
    friend bool operator<(const Entry& a, const Entry& b) {
      if (a.key != b.key) return a.key < b.key;
      const int order = a.name.compare(b.name);
      return order != 0 ? order < 0 : a.place < b.place;
    }
  };
  static uint64_t hash(std::string_view s) {  // FNV-1a
    uint64_t h = 0xCBF29CE484222325;
    for (const char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return h;
  }
  std::vector<Entry> entries_;
};

}  // namespace nemotron
