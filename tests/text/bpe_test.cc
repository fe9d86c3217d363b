// Bpe: the best pair first, leftmost among equals, whatever the length of the word; and the finder of added tokens.

#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "text/added_tokens.h"

namespace nemotron {
namespace {

// A vocabulary over a few letters with random merges.
struct RandomModel {
  Vocabulary vocabulary;
  Bpe bpe;
  std::vector<std::pair<int32_t, int32_t>> merges;  // best first
  std::vector<int32_t> joined;

  explicit RandomModel(unsigned seed) {
    std::mt19937 random(seed);
    for (const char* letter : {"a", "b", "c"}) vocabulary.add(vocabulary.size(), letter);
    while (merges.size() < 60) {
      const auto left = int32_t(random() % unsigned(vocabulary.size())),
                 right = int32_t(random() % unsigned(vocabulary.size()));
      const std::string word = std::string(vocabulary.bytes(left)) + std::string(vocabulary.bytes(right));
      if (word.size() > 9 || std::find(merges.begin(), merges.end(), std::pair{left, right}) != merges.end()) continue;
      if (vocabulary.find(word) == Vocabulary::kNone) vocabulary.add(vocabulary.size(), word);
      merges.emplace_back(left, right);
      joined.push_back(vocabulary.find(word));
    }
    bpe = Bpe(vocabulary, 0, {});
    for (size_t i = 0; i < merges.size(); ++i) bpe.add_merge(merges[i].first, merges[i].second, joined[i]);
  }

  // The definition: every merge in the order of the list would not do, as a later join can make an earlier pair.
  std::vector<int32_t> by_definition(const std::string& word) const {
    std::vector<int32_t> ids;
    for (const char c : word) ids.push_back(vocabulary.find({&c, 1}));
    while (true) {
      size_t best = merges.size(), at = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const auto found = std::find(merges.begin(), merges.end(), std::pair{ids[i], ids[i + 1]});
        const auto rank = size_t(found - merges.begin());
        if (rank < best) best = rank, at = i;
      }
      if (best == merges.size()) return ids;
      ids[at] = joined[best];
      ids.erase(ids.begin() + std::ptrdiff_t(at) + 1);
    }
  }
};

TEST(Bpe, joins_the_best_pair_leftmost_first_in_short_and_long_words) {
  std::mt19937 random(9);
  for (unsigned seed = 0; seed < 20; ++seed) {
    const RandomModel model(seed);
    BpeWorkspace workspace;
    for (const size_t length : {1u, 2u, 5u, 26u, 27u, 48u, 49u, 300u}) {
      for (int round = 0; round < 10; ++round) {
        std::string word;
        const unsigned letters = 1 + random() % 3;
        for (size_t i = 0; i < length; ++i) word += char('a' + random() % letters);
        std::vector<int32_t> ids, again;
        model.bpe.encode(model.vocabulary, word, workspace, ids);
        EXPECT_EQ(ids, model.by_definition(word)) << word;
        model.bpe.encode(model.vocabulary, word, workspace, again);  // from the cache
        EXPECT_EQ(again, ids) << word;
      }
    }
  }
}

TEST(Bpe, a_pair_given_again_takes_the_later_rank) {
  Vocabulary vocabulary;
  for (const char* content : {"a", "b", "c", "ab", "bc"}) vocabulary.add(vocabulary.size(), content);
  Bpe bpe(vocabulary, 3, {});
  bpe.add_merge(0, 1, 3);
  bpe.add_merge(1, 2, 4);
  BpeWorkspace first, second;
  std::vector<int32_t> ids;
  bpe.encode(vocabulary, "abc", first, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{3, 2}));
  bpe.add_merge(0, 1, 3);
  ids.clear();
  bpe.encode(vocabulary, "abc", second, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 4}));
}

std::vector<std::pair<std::string, int32_t>> split(const AddedTokenFinder& finder, const std::string& text) {
  std::vector<std::pair<std::string, int32_t>> out;
  finder.split(text, [&](std::string_view piece, int32_t id) { out.emplace_back(piece, id); });
  return out;
}

using Pieces = std::vector<std::pair<std::string, int32_t>>;

TEST(AddedTokens, the_leftmost_then_the_longest_wins) {
  AddedTokenFinder finder;
  EXPECT_TRUE(finder.add("abc", {.id = 1}));
  EXPECT_TRUE(finder.add("abcd", {.id = 2}));
  EXPECT_TRUE(finder.add("bcde", {.id = 3}));
  EXPECT_FALSE(finder.add("abc", {.id = 4}));
  EXPECT_EQ(split(finder, "xabcde"), (Pieces{{"x", -1}, {"abcd", 2}, {"e", -1}}));
  EXPECT_EQ(split(finder, "abcbcde"), (Pieces{{"abc", 1}, {"bcde", 3}}));
  EXPECT_EQ(split(finder, "ab"), (Pieces{{"ab", -1}}));
  EXPECT_EQ(split(finder, ""), Pieces{});
}

TEST(AddedTokens, flags_take_white_space_and_look_at_neighbours) {
  AddedTokenFinder finder;
  finder.add("<L>", {.id = 1, .lstrip = true});
  finder.add("<R>", {.id = 2, .rstrip = true});
  finder.add("word", {.id = 3, .single_word = true});
  EXPECT_EQ(split(finder, "a \u3000<L> b"), (Pieces{{"a", -1}, {" \u3000<L>", 1}, {" b", -1}}));
  EXPECT_EQ(split(finder, "a <R>\n\t<L>b"), (Pieces{{"a ", -1}, {"<R>\n\t", 2}, {"<L>", 1}, {"b", -1}}));
  EXPECT_EQ(split(finder, "word, sword word\u0301 word"),
            (Pieces{{"word", 3}, {", sword word\u0301 ", -1}, {"word", 3}}));
}

}  // namespace
}  // namespace nemotron
