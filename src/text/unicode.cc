// Unicode properties: utf8proc's categories brought to Unicode 16, the sets built from them, and scripts.

#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>

namespace nemotron {
namespace {

using enum Category;

struct Run {
  char32_t first, last;
  Category category;
};

// Debian 12's utf8proc knows Unicode 15.0. Tokenizers are defined by the tables of the library that made them, today
// Unicode 16; these are the characters that came, or changed, since. With a newer utf8proc they change nothing.
constexpr Run kSinceUnicode15[] = {
    {0x897, 0x897, Mn},     {0x1B4E, 0x1B4F, Po},   {0x1B7F, 0x1B7F, Po},   {0x1C89, 0x1C89, Lu},
    {0x1C8A, 0x1C8A, Ll},   {0x2427, 0x2429, So},   {0x2FFC, 0x2FFF, So},   {0x31E4, 0x31E5, So},
    {0x31EF, 0x31EF, So},   {0xA7CB, 0xA7CC, Lu},   {0xA7CD, 0xA7CD, Ll},   {0xA7DA, 0xA7DA, Lu},
    {0xA7DB, 0xA7DB, Ll},   {0xA7DC, 0xA7DC, Lu},   {0x105C0, 0x105F3, Lo}, {0x10D40, 0x10D49, Nd},
    {0x10D4A, 0x10D4D, Lo}, {0x10D4E, 0x10D4E, Lm}, {0x10D4F, 0x10D4F, Lo}, {0x10D50, 0x10D65, Lu},
    {0x10D69, 0x10D6D, Mn}, {0x10D6E, 0x10D6E, Pd}, {0x10D6F, 0x10D6F, Lm}, {0x10D70, 0x10D85, Ll},
    {0x10D8E, 0x10D8F, Sm}, {0x10EC2, 0x10EC4, Lo}, {0x10EFC, 0x10EFC, Mn}, {0x11380, 0x11389, Lo},
    {0x1138B, 0x1138B, Lo}, {0x1138E, 0x1138E, Lo}, {0x11390, 0x113B5, Lo}, {0x113B7, 0x113B7, Lo},
    {0x113B8, 0x113BA, Mc}, {0x113BB, 0x113C0, Mn}, {0x113C2, 0x113C2, Mc}, {0x113C5, 0x113C5, Mc},
    {0x113C7, 0x113CA, Mc}, {0x113CC, 0x113CD, Mc}, {0x113CE, 0x113CE, Mn}, {0x113CF, 0x113CF, Mc},
    {0x113D0, 0x113D0, Mn}, {0x113D1, 0x113D1, Lo}, {0x113D2, 0x113D2, Mn}, {0x113D3, 0x113D3, Lo},
    {0x113D4, 0x113D5, Po}, {0x113D7, 0x113D8, Po}, {0x113E1, 0x113E2, Mn}, {0x116D0, 0x116E3, Nd},
    {0x1171E, 0x1171E, Mc}, {0x11BC0, 0x11BE0, Lo}, {0x11BE1, 0x11BE1, Po}, {0x11BF0, 0x11BF9, Nd},
    {0x11F5A, 0x11F5A, Mn}, {0x13460, 0x143FA, Lo}, {0x16100, 0x1611D, Lo}, {0x1611E, 0x16129, Mn},
    {0x1612A, 0x1612C, Mc}, {0x1612D, 0x1612F, Mn}, {0x16130, 0x16139, Nd}, {0x16D40, 0x16D42, Lm},
    {0x16D43, 0x16D6A, Lo}, {0x16D6B, 0x16D6C, Lm}, {0x16D6D, 0x16D6F, Po}, {0x16D70, 0x16D79, Nd},
    {0x18CFF, 0x18CFF, Lo}, {0x1CC00, 0x1CCEF, So}, {0x1CCF0, 0x1CCF9, Nd}, {0x1CD00, 0x1CEB3, So},
    {0x1E5D0, 0x1E5ED, Lo}, {0x1E5EE, 0x1E5EF, Mn}, {0x1E5F0, 0x1E5F0, Lo}, {0x1E5F1, 0x1E5FA, Nd},
    {0x1E5FF, 0x1E5FF, Po}, {0x1F8B2, 0x1F8BB, So}, {0x1F8C0, 0x1F8C1, So}, {0x1FA89, 0x1FA89, So},
    {0x1FA8F, 0x1FA8F, So}, {0x1FABE, 0x1FABE, So}, {0x1FAC6, 0x1FAC6, So}, {0x1FADC, 0x1FADC, So},
    {0x1FADF, 0x1FADF, So}, {0x1FAE9, 0x1FAE9, So}, {0x1FBCB, 0x1FBEF, So}, {0x2EBF0, 0x2EE5D, Lo},
};

std::vector<Run> make_runs() {
  std::vector<Run> runs;
  const Run* patch = std::begin(kSinceUnicode15);
  for (char32_t c = 0; c <= CodePoints::kLast; ++c) {
    while (patch != std::end(kSinceUnicode15) && c > patch->last) ++patch;
    const bool patched = patch != std::end(kSinceUnicode15) && c >= patch->first;
    const Category category = patched ? patch->category : Category(utf8proc_category(utf8proc_int32_t(c)));
    if (!runs.empty() && runs.back().category == category) {
      runs.back().last = c;
    } else {
      runs.push_back({c, c, category});
    }
  }
  return runs;
}

const std::vector<Run>& runs() {
  static const std::vector<Run> table = make_runs();
  return table;
}

CodePoints code_points_of(std::initializer_list<Category> categories) {
  uint32_t wanted = 0;
  for (const Category category : categories) wanted |= 1u << int(category);
  std::vector<CodePoints::Range> ranges;
  for (const Run& run : runs()) {
    if (wanted >> int(run.category) & 1) ranges.push_back({run.first, run.last});
  }
  return CodePoints(std::move(ranges));
}

// Other_Alphabetic outside the categories L, M and Nl: circled and squared letters.
const CodePoints& alphabetic_symbols() {
  static const CodePoints set = {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
  return set;
}

CodePoints letters_marks_digits_connectors() {
  return code_points_of({Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, Pc}) | alphabetic_symbols();
}

struct Named {
  std::string_view short_name, long_name;
  std::initializer_list<Category> categories;
};

// clang-format off
const Named kNamed[] = {
    {"l", "letter", {Lu, Ll, Lt, Lm, Lo}}, {"lc", "casedletter", {Lu, Ll, Lt}}, {"lu", "uppercaseletter", {Lu}},
    {"ll", "lowercaseletter", {Ll}}, {"lt", "titlecaseletter", {Lt}}, {"lm", "modifierletter", {Lm}},
    {"lo", "otherletter", {Lo}}, {"m", "mark", {Mn, Mc, Me}}, {"mn", "nonspacingmark", {Mn}},
    {"mc", "spacingmark", {Mc}}, {"me", "enclosingmark", {Me}}, {"n", "number", {Nd, Nl, No}},
    {"nd", "decimalnumber", {Nd}}, {"nl", "letternumber", {Nl}}, {"no", "othernumber", {No}},
    {"p", "punctuation", {Pc, Pd, Ps, Pe, Pi, Pf, Po}}, {"pc", "connectorpunctuation", {Pc}},
    {"pd", "dashpunctuation", {Pd}}, {"ps", "openpunctuation", {Ps}}, {"pe", "closepunctuation", {Pe}},
    {"pi", "initialpunctuation", {Pi}}, {"pf", "finalpunctuation", {Pf}}, {"po", "otherpunctuation", {Po}},
    {"s", "symbol", {Sm, Sc, Sk, So}}, {"sm", "mathsymbol", {Sm}}, {"sc", "currencysymbol", {Sc}},
    {"sk", "modifiersymbol", {Sk}}, {"so", "othersymbol", {So}}, {"z", "separator", {Zs, Zl, Zp}},
    {"zs", "spaceseparator", {Zs}}, {"zl", "lineseparator", {Zl}}, {"zp", "paragraphseparator", {Zp}},
    {"c", "other", {Cc, Cf, Cs, Co, Cn}}, {"cc", "control", {Cc}}, {"cf", "format", {Cf}}, {"cs", "surrogate", {Cs}},
    {"co", "privateuse", {Co}}, {"cn", "unassigned", {Cn}},
};

struct Script {
  std::string_view name;
  std::initializer_list<CodePoints::Range> ranges;
};
#include "text/scripts.inc"
// clang-format on

// As Unicode compares the names of properties: without case, spaces, hyphens and underscores.
std::string loose_name(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    key += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  }
  return key;
}

}  // namespace

Category category_of(char32_t c) {
  const auto after = std::upper_bound(runs().begin(), runs().end(), c,
                                      [](char32_t value, const Run& run) { return value < run.first; });
  return std::prev(after)->category;
}

std::optional<CodePoints> code_points_of_category(std::string_view name) {
  const std::string key = loose_name(name);
  for (const Named& named : kNamed) {
    if (key == named.short_name || key == named.long_name) return code_points_of(named.categories);
  }
  return std::nullopt;
}

std::optional<CodePoints> code_points_of_script(std::string_view name) {
  const std::string key = loose_name(name);
  for (const Script& script : kScripts) {
    if (key == script.name) return CodePoints(script.ranges);
  }
  return std::nullopt;
}

std::optional<CodePoints> code_points_of_class(std::string_view name) {
  const std::string key = loose_name(name);
  if (key == "any") return CodePoints{{0, CodePoints::kLast}};
  if (key == "ascii") return CodePoints{{0, 0x7F}};
  if (key == "blank") return code_points_of({Zs}) | CodePoints{{'\t', '\t'}};
  if (key == "cntrl") return code_points_of({Cc});
  if (key == "digit") return code_points_of({Nd});
  if (key == "graph") return code_points_of({Cc, Cn, Cs}).complement() - white_space();
  if (key == "print") return code_points_of({Cc, Cn, Cs, Zl, Zp}).complement();
  if (key == "punct") return code_points_of({Pc, Pd, Ps, Pe, Pi, Pf, Po});
  if (key == "space" || key == "whitespace") return white_space();
  if (key == "word") return regex_word_characters(false);
  if (key == "xdigit") return CodePoints{{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
  return std::nullopt;
}

const CodePoints& white_space() {
  static const CodePoints set = {{0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                                 {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                 {0x205F, 0x205F}, {0x3000, 0x3000}};
  return set;
}

bool is_white_space(char32_t c) { return white_space().contains(c); }

bool is_word_character(char32_t c) {
  static const CodePoints set = letters_marks_digits_connectors() | CodePoints{{0x200C, 0x200D}};
  return set.contains(c);
}

const CodePoints& regex_word_characters(bool in_brackets) {
  static const CodePoints inside = letters_marks_digits_connectors();
  static const CodePoints outside = inside | CodePoints{{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}};
  return in_brackets ? inside : outside;
}

const CodePoints& numeric_characters() {
  // The two ranges came with Unicode 17.
  static const CodePoints set = code_points_of({Nd, Nl, No}) | CodePoints{{0x11DE0, 0x11DE9}, {0x16FF4, 0x16FF6}};
  return set;
}

const CodePoints& punctuation_characters() {
  static const CodePoints ascii_symbols = {{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'},
                                           {'`', '`'}, {'|', '|'}, {'~', '~'}};
  static const CodePoints missing = {
      {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},
      {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},   {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x10D6E, 0x10D6E},
      {0x10EAD, 0x10EAD}, {0x10F55, 0x10F59}, {0x10F86, 0x10F89}, {0x113D4, 0x113D5}, {0x113D7, 0x113D8},
      {0x1144B, 0x1144F}, {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C}, {0x116B9, 0x116B9},
      {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2}, {0x11A3F, 0x11A46}, {0x11A9A, 0x11A9C},
      {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11BE1, 0x11BE1}, {0x11C41, 0x11C45}, {0x11C70, 0x11C71},
      {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16D6D, 0x16D6F},
      {0x16E97, 0x16E9A}, {0x16FE2, 0x16FE2}, {0x1E5FF, 0x1E5FF}, {0x1E95E, 0x1E95F},
  };
  static const CodePoints set = ((code_points_of({Pc, Pd, Ps, Pe, Pi, Pf, Po}) - missing) | ascii_symbols) |
                                CodePoints{{0x166D, 0x166D}, {0x111C9, 0x111C9}};
  return set;
}

}  // namespace nemotron
