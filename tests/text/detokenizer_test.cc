// Detokenizer: what is handed out never changes, and joins to the decoding.

#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "golden.h"

namespace nemotron {
namespace {

TEST(Detokenizer, hands_out_the_pieces_of_the_reference) {
  for (const std::string& name : tokenizer_names()) {
    const Tokenizer tokenizer = golden_tokenizer(name);
    for (const Json& row : golden_lines("streams/" + name + ".jsonl")) {
      Detokenizer stream(tokenizer, member(row, "skip_special").boolean());
      Json::Array pieces;
      for (const int32_t id : ids_of(member(row, "ids"))) pieces.push_back(Json(stream.put(id)));
      pieces.push_back(Json(stream.finish()));
      EXPECT_EQ(Json(pieces), member(row, "pieces")) << name << ": " << row.dump();
    }
  }
}

TEST(Detokenizer, pieces_join_to_the_decoding_and_are_whole_characters) {
  std::mt19937 random(5);
  for (const std::string& name : tokenizer_names()) {
    const Tokenizer tokenizer = golden_tokenizer(name);
    for (int round = 0; round < 500; ++round) {
      std::vector<int32_t> ids(random() % 20);
      for (int32_t& id : ids) id = int32_t(random() % (random() % 2 ? 300 : unsigned(tokenizer.vocabulary_size()) + 5));
      const bool skip = random() % 2;
      Detokenizer stream(tokenizer, skip);
      std::string joined;
      for (const int32_t id : ids) {
        const std::string piece = stream.put(id);
        EXPECT_EQ(find_invalid_utf8(piece), piece.size());
        EXPECT_LE(stream.pending(), 3u);
        joined += piece;
      }
      EXPECT_EQ(joined + stream.finish(), tokenizer.decode(ids, skip));
      EXPECT_EQ(stream.finish(), "");
    }
  }
}

}  // namespace
}  // namespace nemotron
