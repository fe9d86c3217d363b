// Bpe: the merge table, and the merge loop for short words (scan) and long ones (heap).

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
    merge_long(symbols, workspace.heap_);
  for (int32_t i = 0; i >= 0; i = symbols[size_t(i)].next) ids.push_back(symbols[size_t(i)].id);
  if (symbols.capacity() > (1 << 20)) {  // one huge word must not hold its memory for ever
    symbols = {};
    workspace.heap_ = {};
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
      if (options_.unknown == Vocabulary::kNone) {
        throw Error({.what = fmt::format("the vocabulary has no entry for the byte 0x{:02x}, and no unk_token", byte),
                     .where = "tokenizer.json: model.vocab",
                     .hint = "this tokenizer cannot encode the text"});
      }
      if (after_unknown && options_.fuse_unknown) continue;
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

void Bpe::merge_long(std::vector<Symbol>& symbols, std::vector<uint64_t>& heap) const {
  heap.clear();
  const auto entry = [&](int32_t at) { return uint64_t(symbols[size_t(at)].rank) << 32 | uint32_t(at); };
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].rank != kNoRank) heap.push_back(entry(int32_t(i)));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto push = [&](int32_t at) {
    if (at < 0 || symbols[size_t(at)].rank == kNoRank) return;
    heap.push_back(entry(at));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint64_t top = heap.back();
    heap.pop_back();
    const auto at = int32_t(uint32_t(top));
    if (symbols[size_t(at)].rank != uint32_t(top >> 32)) continue;
    join(symbols, at);
    push(at);
    push(symbols[size_t(at)].previous);
  }
}

}  // namespace nemotron
