// Byte pair encoding of one word: the best-ranked pair of neighbours is joined, again and again.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace nemotron {

// The pairs of one long word that are still to be joined, by rank and then by position. Nearly always the positions of
// a rank come in ascending order, so that each rank has a plain list; a list that gets one out of order becomes a heap.
class MergeQueue {
 public:
  void push(uint32_t rank, int32_t position);
  // Takes the leftmost pair of the best rank; false if there is none.
  bool pop(uint32_t& rank, int32_t& position);

 private:
  struct List {
    std::vector<int32_t> positions;
    size_t done = 0;  // taken from the front
    bool is_heap = false;
  };
  std::vector<int32_t> list_of_;  // by rank; -1: none
  std::vector<List> lists_;
  std::vector<int32_t> free_;    // lists of no rank
  std::vector<uint32_t> ranks_;  // that have a list; a heap, smallest first
};

// What one thread needs to encode words: a cache of recent words and the arrays of the merge loop.
class BpeWorkspace {
 public:
  BpeWorkspace();

 private:
  friend class Bpe;
  // One cache line: a word and its ids. The newest word of a slot stays.
  struct alignas(64) Cached {
    static constexpr size_t kBytes = 26, kIds = 9;
    uint8_t length = 0, count = 0;  // length 0: empty
    char word[kBytes];
    int32_t ids[kIds];
  };
  static_assert(sizeof(Cached) == 64);
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // -1: none
    uint32_t rank;           // of the pair with the next one; kNoRank: they do not join
    int32_t joined;          // what the pair makes
  };

  std::vector<Cached> cache_;
  std::vector<Symbol> symbols_;
  MergeQueue queue_;  // outdated entries are passed over
};

class Bpe {
 public:
  Bpe() = default;

  struct Options {
    bool ignore_merges = false;           // a word that is an entry is that entry, whether merges lead to it or not
    int32_t unknown = Vocabulary::kNone;  // for bytes without an entry, which are dropped where there is none
    bool fuse_unknown = false;            // neighbouring unknown bytes are one
    bool refuse_unknown = false;          // a byte without an entry is an error: the unk_token has none either
  };
  Bpe(const Vocabulary& vocabulary, size_t merges, Options options);

  // Pairs come best first. A pair given again takes the later rank, as in `tokenizers`.
  void add_merge(int32_t left, int32_t right, int32_t joined);

  // Appends the ids of a word of any bytes, in O(n log n). Throws Error for a byte that is to be refused.
  void encode(const Vocabulary& vocabulary, std::string_view word, BpeWorkspace& workspace,
              std::vector<int32_t>& ids) const;

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Merge {
    uint64_t pair = UINT64_MAX;  // left << 32 | right; all ones: free
    uint32_t rank = kNoRank;
    int32_t joined = Vocabulary::kNone;
  };
  using Symbol = BpeWorkspace::Symbol;

  const Merge& find(int32_t left, int32_t right) const;
  void grow(size_t slots);
  void merge_word(std::string_view word, BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  void start(std::string_view word, std::vector<Symbol>& symbols) const;
  void rank_pair(std::vector<Symbol>& symbols, int32_t left) const;
  void join(std::vector<Symbol>& symbols, int32_t left) const;
  void merge_short(std::vector<Symbol>& symbols) const;
  void merge_long(std::vector<Symbol>& symbols, MergeQueue& queue) const;

  std::vector<Merge> table_;  // open addressing, at most half full
  size_t count_ = 0;
  uint32_t next_rank_ = 0;
  int32_t byte_ids_[256];
  Options options_;
};

}  // namespace nemotron
