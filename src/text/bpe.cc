// Bpe: the merge table, and the merge loop for short words (scan) and long ones (queue).

#include "text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "base/error.h"

namespace nemotron {
namespace {

constexpr size_t kCacheSlots =
    1 << 15;                       // 2 MB: the words of most languages' running text, and inside a second-level cache
constexpr size_t kShortWord = 48;  // symbols up to which scanning all pairs beats a heap

}  // namespace

BpeWorkspace::BpeWorkspace() : cache_(kCacheSlots) {}

Bpe::Bpe(const Vocabulary& vocabulary, size_t merges, Options options) : options_(options) {
  grow(std::bit_ceil(merges * 2 + 2));
  for (int b = 0; b < 256; ++b) {
    const char byte = char(b);
    byte_ids_[b] = vocabulary.find_bytes({&byte, 1});
  }
}

const Bpe::Merge& Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = uint64_t(uint32_t(left)) << 32 | uint32_t(right);
  size_t at = keyed_hash(pair) & (table_.size() - 1);
  while (table_[at].pair != pair && table_[at].pair != UINT64_MAX) at = (at + 1) & (table_.size() - 1);
  return table_[at];
}

void Bpe::add_merge(int32_t left, int32_t right, int32_t joined) {
  if ((count_ + 1) * 2 > table_.size()) grow(table_.size() * 2);
  auto& merge = const_cast<Merge&>(find(left, right));
  if (merge.pair == UINT64_MAX) ++count_;
  merge = {uint64_t(uint32_t(left)) << 32 | uint32_t(right), next_rank_++, joined};
}

void Bpe::grow(size_t slots) {
  std::vector<Merge> old(slots);
  old.swap(table_);
  for (const Merge& merge : old) {
    if (merge.pair != UINT64_MAX) {
      const_cast<Merge&>(find(int32_t(merge.pair >> 32), int32_t(uint32_t(merge.pair)))) = merge;
    }
  }
}

void Bpe::encode(const Vocabulary& vocabulary, std::string_view word, BpeWorkspace& workspace,
                 std::vector<int32_t>& ids) const {
  using Cached = BpeWorkspace::Cached;
  if (word.empty()) return;
  const bool cacheable = word.size() <= Cached::kBytes;
  Cached* slot = nullptr;
  if (cacheable) {
    slot = &workspace.cache_[keyed_hash(word) % kCacheSlots];
    if (slot->length == word.size() && std::memcmp(slot->word, word.data(), word.size()) == 0) {
      ids.insert(ids.end(), slot->ids, slot->ids + slot->count);
      return;
    }
  }
  const size_t before = ids.size();
  const int32_t whole = options_.ignore_merges ? vocabulary.find_bytes(word) : Vocabulary::kNone;
  if (whole != Vocabulary::kNone)
    ids.push_back(whole);
  else
    merge_word(word, workspace, ids);
  const size_t count = ids.size() - before;
  if (cacheable && count <= Cached::kIds) {
    slot->length = uint8_t(word.size());
    slot->count = uint8_t(count);
    std::memcpy(slot->word, word.data(), word.size());
    std::copy(ids.end() - std::ptrdiff_t(count), ids.end(), slot->ids);
  }
}

void Bpe::merge_word(std::string_view word, BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  std::vector<Symbol>& symbols = workspace.symbols_;
  start(word, symbols);
  if (symbols.empty()) return;
  if (symbols.size() <= kShortWord)
    merge_short(symbols);
  else
    merge_long(symbols, workspace.queue_);
  for (int32_t i = 0; i >= 0; i = symbols[size_t(i)].next) ids.push_back(symbols[size_t(i)].id);
  if (symbols.capacity() > (1 << 20)) {  // one huge word must not hold its memory for ever
    symbols = {};
    workspace.queue_ = {};
  }
}

// One symbol per byte, each pair ranked.
void Bpe::start(std::string_view word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  bool after_unknown = false;
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t id = byte_ids_[byte];
    const bool unknown = id == Vocabulary::kNone;
    if (unknown) {
      if (options_.refuse_unknown) {
        throw Error({.what = fmt::format("neither the byte 0x{:02x} nor the unk_token has an entry", byte),
                     .where = "tokenizer.json: model.vocab",
                     .hint = "this tokenizer cannot encode the text"});
      }
      if (options_.unknown == Vocabulary::kNone || (after_unknown && options_.fuse_unknown)) continue;
      id = options_.unknown;
    }
    after_unknown = unknown;
    const auto at = int32_t(symbols.size());
    symbols.push_back({id, at - 1, at + 1, kNoRank, Vocabulary::kNone});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  for (size_t i = 0; i + 1 < symbols.size(); ++i) rank_pair(symbols, int32_t(i));
}

void Bpe::rank_pair(std::vector<Symbol>& symbols, int32_t left) const {
  Symbol& symbol = symbols[size_t(left)];
  symbol.rank = kNoRank;
  if (symbol.next < 0) return;
  const Merge& merge = find(symbol.id, symbols[size_t(symbol.next)].id);
  symbol.rank = merge.rank;
  symbol.joined = merge.joined;
}

// The pair at `left` becomes one symbol, whose pairs with its neighbours are ranked anew.
void Bpe::join(std::vector<Symbol>& symbols, int32_t left) const {
  Symbol& symbol = symbols[size_t(left)];
  Symbol& right = symbols[size_t(symbol.next)];
  symbol.id = symbol.joined;
  symbol.next = right.next;
  right.rank = kNoRank;
  if (symbol.next >= 0) symbols[size_t(symbol.next)].previous = left;
  rank_pair(symbols, left);
  if (symbol.previous >= 0) rank_pair(symbols, symbol.previous);
}

void Bpe::merge_short(std::vector<Symbol>& symbols) const {
  while (true) {
    const auto best = std::min_element(symbols.begin(), symbols.end(),
                                       [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; });
    if (best->rank == kNoRank) return;
    join(symbols, int32_t(best - symbols.begin()));
  }
}

void Bpe::merge_long(std::vector<Symbol>& symbols, MergeQueue& queue) const {
  const auto push = [&](int32_t at) {
    if (at >= 0 && symbols[size_t(at)].rank != kNoRank) queue.push(symbols[size_t(at)].rank, at);
  };
  for (size_t i = 0; i < symbols.size(); ++i) push(int32_t(i));
  uint32_t rank = 0;
  for (int32_t at = 0; queue.pop(rank, at);) {
    if (symbols[size_t(at)].rank != rank) continue;
    join(symbols, at);
    push(at);
    push(symbols[size_t(at)].previous);
  }
}

void MergeQueue::push(uint32_t rank, int32_t position) {
  if (rank >= list_of_.size()) list_of_.resize(rank + 1, -1);
  if (list_of_[rank] < 0) {
    if (free_.empty()) {
      free_.push_back(int32_t(lists_.size()));
      lists_.emplace_back();
    }
    list_of_[rank] = free_.back();
    free_.pop_back();
    ranks_.push_back(rank);
    std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
  }
  List& list = lists_[size_t(list_of_[rank])];
  if (!list.is_heap && !list.positions.empty() && position < list.positions.back()) {
    // What ascends is a heap already.
    list.positions.erase(list.positions.begin(), list.positions.begin() + std::ptrdiff_t(list.done));
    list.done = 0;
    list.is_heap = true;
  }
  list.positions.push_back(position);
  if (list.is_heap) std::push_heap(list.positions.begin(), list.positions.end(), std::greater<>());
}

bool MergeQueue::pop(uint32_t& rank, int32_t& position) {
  if (ranks_.empty()) return false;
  rank = ranks_.front();
  List& list = lists_[size_t(list_of_[rank])];
  if (list.is_heap) {
    std::pop_heap(list.positions.begin(), list.positions.end(), std::greater<>());
    position = list.positions.back();
    list.positions.pop_back();
  } else {
    position = list.positions[list.done++];
  }
  if (list.done == list.positions.size()) {
    list.positions.clear();
    list.done = 0;
    list.is_heap = false;
    free_.push_back(list_of_[rank]);
    list_of_[rank] = -1;
    std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    ranks_.pop_back();
  }
  return true;
}

}  // namespace nemotron
