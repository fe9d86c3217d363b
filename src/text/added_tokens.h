// Added tokens: texts that are one token wherever they stand, found before anything else is cut.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
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

// Finds a set of added tokens in a text: the leftmost first, of those the longest, in time linear in the text. The
// automaton of Aho and Corasick walks over the text once, from its end, and so meets at every place the longest token
// that starts there.
class AddedTokenFinder {
 public:
  // `text` is what to look for, not empty. False if another token has the same text.
  bool add(std::string_view text, const AddedToken& token);
  // Makes the automaton; called once, after the last token and before the first split.
  void finish();

  // Hands out the pieces of `text` from left to right: piece(part, id), id -1 for what lies between added tokens. Where
  // white space that a token took holds a token itself, the pieces overlap, unless that one has lstrip and so finds
  // nothing left: this is what `tokenizers` does.
  template <typename Piece>
  void split(std::string_view text, Piece piece) const {
    size_t done = 0;  // up to here everything is handed out
    size_t space_end = 0, from = 0;
    const std::vector<Found> all = find(text);
    for (auto found = all.rbegin(); found != all.rend(); ++found) {
      if (found->begin < from) continue;
      const Token& token = tokens_[size_t(found->token)];
      size_t begin = found->begin, end = begin + token.length;
      from = end;
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
    size_t length;  // bytes
  };
  struct Node {  // of the tree of what tokens end with, written backwards; children stand together, by byte
    int32_t first_child = 0, children = 0;
    int32_t shorter = 0;  // the node of the longest start of this one's text that is in the tree
    int32_t token = -1;   // the longest that starts here, in tokens_
    unsigned char byte = 0;
  };
  struct Found {
    size_t begin;
    int32_t token;
  };

  int32_t child(int32_t node, unsigned char byte) const;  // 0: none
  int32_t step(int32_t node, unsigned char byte) const;
  std::vector<Found> find(std::string_view text) const;  // the longest token at each place, the last place first
  static bool stands_alone(std::string_view text, size_t begin, size_t end);
  static size_t before_space(std::string_view text, size_t least, size_t end);
  static size_t after_space(std::string_view text, size_t begin);

  std::vector<Token> tokens_;
  std::map<std::string, int32_t, std::less<>> reversed_;  // text of a token written backwards -> index; until finish()
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<bool> ends_ = std::vector<bool>(1 << 16);  // by the last two bytes of a token; of one byte: all pairs
};

}  // namespace nemotron
