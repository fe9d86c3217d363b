// Added tokens: texts that are one token wherever they stand, found before anything else is cut.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nemotron {

struct AddedToken {
  std::string content = {};  // as the file gives it
  int32_t id = 0;
  bool single_word = false;  // only where no word character stands before or after it
  bool lstrip = false;       // takes the white space before it, too
  bool rstrip = false;       // and after it
  bool normalized = true;    // looked for in the normalized text, itself normalized
  bool special = false;      // left out by a decoding that skips special tokens
};

// Finds a set of added tokens in a text: the leftmost first, of those the longest.
class AddedTokenFinder {
 public:
  static constexpr size_t kMaxLength = 1024;  // of a token's text; a search takes at most so many steps per byte

  // `text` is what to look for, not empty and not longer than kMaxLength. False if another token has the same text.
  bool add(std::string_view text, const AddedToken& token);

  // Hands out the pieces of `text` from left to right: piece(part, id), id -1 for what lies between added tokens. Where
  // white space that a token took holds a token itself, the pieces overlap, unless that one has lstrip and so finds
  // nothing left: this is what `tokenizers` does.
  template <typename Piece>
  void split(std::string_view text, Piece piece) const {
    size_t done = 0;  // up to here everything is handed out
    size_t space_end = 0;
    for (Found found; find(text, found);) {
      size_t begin = found.begin, end = found.end;
      const Token& token = tokens_[size_t(found.token)];
      found.from = found.end;
      if (token.single_word && !stands_alone(text, begin, end)) continue;
      if (token.lstrip) begin = done < begin ? before_space(text, done, begin) : done;
      if (token.rstrip) {
        if (end >= space_end) space_end = after_space(text, end);
        end = space_end;
      }
      if (done < begin) piece(text.substr(done, begin - done), -1);
      if (begin < end) piece(text.substr(begin, end - begin), token.id);
      done = end;
    }
    if (done < text.size()) piece(text.substr(done), -1);
  }

  bool empty() const { return tokens_.empty(); }

 private:
  struct Token {
    int32_t id;
    bool single_word, lstrip, rstrip;
  };
  struct Node {  // of a tree of prefixes
    int32_t first_child = -1, next_sibling = -1;
    int32_t token = -1;  // in tokens_
    unsigned char byte = 0;
  };
  struct Found {
    size_t from = 0;  // where to search
    size_t begin = 0, end = 0;
    int32_t token = -1;
  };

  int32_t child(int32_t node, unsigned char byte) const;
  bool find(std::string_view text, Found& found) const;
  static bool stands_alone(std::string_view text, size_t begin, size_t end);
  static size_t before_space(std::string_view text, size_t least, size_t end);
  static size_t after_space(std::string_view text, size_t begin);

  std::vector<Token> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<bool> starts_ = std::vector<bool>(1 << 16);  // by the first two bytes of a token; of one byte: all pairs
};

}  // namespace nemotron
