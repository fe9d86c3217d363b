// Bpe: the best pair first, leftmost among equals, whatever the length of the word; and the finder of added tokens.

#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

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

std::vector<std::pair<std::string, int32_t>> split(AddedTokenFinder finder, const std::string& text) {
  std::vector<std::pair<std::string, int32_t>> out;
  finder.finish();
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

TEST(AddedTokens, agree_with_trying_every_token_at_every_place) {
  std::mt19937 random(4);
  const auto word = [&](size_t most) {
    std::string out(1 + random() % most, 'a');
    for (char& c : out) c = char('a' + random() % 2);
    return out;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> tokens;
    AddedTokenFinder finder;
    for (int i = int(random() % 8); i >= 0; --i) {
      std::string token = word(6);
      if (finder.add(token, {.id = int32_t(tokens.size())})) tokens.push_back(std::move(token));
    }
    const std::string text = word(40);
    Pieces expected;
    std::string between;
    for (size_t at = 0; at < text.size();) {
      size_t best = tokens.size(), length = 0;
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (text.compare(at, tokens[i].size(), tokens[i]) == 0 && tokens[i].size() > length) {
          best = i;
          length = tokens[i].size();
        }
      }
      if (length == 0) {
        between += text[at++];
        continue;
      }
      if (!between.empty()) expected.emplace_back(std::exchange(between, {}), -1);
      expected.emplace_back(tokens[best], int32_t(best));
      at += length;
    }
    if (!between.empty()) expected.emplace_back(between, -1);
    EXPECT_EQ(split(finder, text), expected) << text;
  }
}

// Every place starts like the long tokens, which a search from each would follow to their ends.
TEST(AddedTokens, are_found_in_linear_time) {
  AddedTokenFinder finder;
  const std::string stem(100'000, 'a');
  finder.add(stem + "b", {.id = 0});
  finder.add(stem + "c", {.id = 1});
  finder.add("aaa", {.id = 2});
  const std::string text(1'000'000, 'a');
  const Pieces pieces = split(finder, text);
  EXPECT_EQ(pieces.size(), 333'334u);
  EXPECT_EQ(pieces.back(), (std::pair<std::string, int32_t>{"a", -1}));
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
