// Which characters have which property: general categories of Unicode 16, white space, word characters.

#pragma once

#include <optional>
#include <string_view>

#include "text/code_points.h"

namespace nemotron {

// The 30 general categories in utf8proc's order.
enum class Category : uint8_t {
  Cn,
  Lu,
  Ll,
  Lt,
  Lm,
  Lo,
  Mn,
  Mc,
  Me,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Ps,
  Pe,
  Pi,
  Pf,
  Po,
  Sm,
  Sc,
  Sk,
  So,
  Zs,
  Zl,
  Zp,
  Cc,
  Cf,
  Cs,
  Co
};

Category category_of(char32_t c);

// The code points of a category ("Lu"), a group of categories ("L", "LC"), or its long name ("Letter",
// "Uppercase_Letter"), in any case and with spaces, hyphens and underscores ignored; nothing if there is no such
// category.
std::optional<CodePoints> code_points_of_category(std::string_view name);

// The code points of a script ("Han"), its name compared as above: those of the living scripts with the most speakers.
std::optional<CodePoints> code_points_of_script(std::string_view name);

// What the names of POSIX ("digit", "space") mean in \p{…} of the regular expressions in tokenizer files; nothing for
// alpha, alnum, lower and upper, of which the categories say too little.
std::optional<CodePoints> code_points_of_class(std::string_view name);

// White_Space.
const CodePoints& white_space();
bool is_white_space(char32_t c);

// Alphabetic | M | Nd | Pc | Join_Control: \w as Unicode technical standard 18, annex C defines it, which is how the
// `single_word` flag of an added token is read.
bool is_word_character(char32_t c);

// \w of the regular expressions in tokenizer files (Oniguruma): as above without Join_Control, and, outside brackets
// and for \b, with ² ³ ¹ ¼ ½ ¾.
const CodePoints& regex_word_characters(bool in_brackets);

// What the pre-tokenizers Digits and Punctuation take for digits and punctuation. The second follows an old Unicode
// version with exceptions of its own, as the `tokenizers` package does.
const CodePoints& numeric_characters();
const CodePoints& punctuation_characters();

}  // namespace nemotron
