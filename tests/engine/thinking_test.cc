// The budget of a thought: where it ends, for any cut of the text into tokens.

#include "engine/thinking.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace nemotron {
namespace {

const std::string kPico = NEMOTRON_SOURCE_DIR "/models/pico";

struct Thought : ::testing::Test {
  Tokenizer tokenizer{kPico};

  // Gives the pieces as tokens one after another. After how many of them the thought is ended, and with what text.
  std::pair<int, std::string> ended(ThinkingBudget budget, const std::vector<std::string>& pieces) {
    for (int n = 0;; ++n) {
      const std::vector<int32_t> ids = budget.ending();
      if (!ids.empty()) {
        EXPECT_TRUE(budget.ending().empty()) << "once";
        return {n, tokenizer.decode(ids)};
      }
      if (n == int(pieces.size())) return {-1, ""};
      budget.put(pieces[size_t(n)]);
    }
  }
  using End = std::pair<int, std::string>;
};

TEST_F(Thought, ends_at_the_next_newline_after_the_budget) {
  const std::vector<std::string> pieces = {"a", "\n", "b", "c", "d\n", "e"};
  EXPECT_EQ(ended({tokenizer, 2, true}, pieces), End(2, "</think>")) << "it stands after a newline";
  EXPECT_EQ(ended({tokenizer, 1, true}, pieces), End(2, "</think>"));
  EXPECT_EQ(ended({tokenizer, 3, true}, pieces), End(5, "</think>"));
  EXPECT_EQ(ended({tokenizer, 5, true}, pieces), End(5, "</think>"));
  EXPECT_EQ(ended({tokenizer, 6, true}, pieces), End(-1, ""));
  EXPECT_EQ(ended({tokenizer, 2, true}, {"a", "b", "c\nd", "e"}), End(3, "\n</think>")) << "a newline inside a token";
  EXPECT_EQ(ended({tokenizer, 2, true}, {"a\nb", "b", "c", "e"}), End(-1, "")) << "one before the budget is none";
}

TEST_F(Thought, of_no_tokens_ends_at_once) {
  EXPECT_EQ(ended({tokenizer, 0, true}, {"a"}), End(0, "</think>"));
  EXPECT_EQ(ended({tokenizer, 0, false}, {"\n", "<thi", "nk>", "a"}), End(3, "</think>"));
}

TEST_F(Thought, without_a_newline_ends_five_hundred_tokens_later) {
  const std::vector<std::string> words(2000, "word ");
  for (const int budget : {0, 1, 7, 1000}) {
    const int most = budget == 0 ? 0 : budget + 500;  // a thought of none stands at the start of a line
    EXPECT_EQ(ended({tokenizer, budget, true}, words), End(most, budget == 0 ? "</think>" : "\n</think>"));
  }
  std::vector<std::string> silent(2000);  // tokens whose text is not certain yet count too
  EXPECT_EQ(ended({tokenizer, 3, true}, silent), End(3, "</think>"));
}

TEST_F(Thought, that_ends_by_itself_is_left_alone) {
  EXPECT_EQ(ended({tokenizer, 2, true}, {"a</th", "ink>", "b", "c\n", "d\n", "e"}), End(-1, ""));
  EXPECT_EQ(ended({tokenizer, 9, true}, {"a", "</think>", "\n", "d\n", "e"}), End(-1, ""));
}

TEST_F(Thought, is_only_bounded_where_there_is_one) {
  EXPECT_EQ(ended({tokenizer, 0, false}, {"Hello", "\n", "<think>", "a", "\n"}), End(-1, ""));
  EXPECT_EQ(ended({tokenizer, 1, false}, {" ", "<think>\n", "a", "b\n", "c"}), End(4, "</think>"));
  EXPECT_EQ(ended({tokenizer, 0, false}, {"<think", "s>", "a\n"}), End(-1, ""));
}

}  // namespace
}  // namespace nemotron
