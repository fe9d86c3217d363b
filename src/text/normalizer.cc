// Normal forms: utf8proc's tables; decomposition, ordering and composition as in The Unicode Standard, section 3.11.

#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "text/code_points.h"

namespace nemotron {
namespace {

constexpr size_t kMaxSteps = 8;
constexpr int kMaxDepth = 16;

// Characters with a decomposition or a combining class that were assigned after Unicode 9, up to Unicode 16.
bool came_after_unicode_9(char32_t c) {
  static const CodePoints set = {
      {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
      {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
      {0x32FF, 0x32FF},   {0xA7F1, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x105C0, 0x105F3},
      {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10D69, 0x10D6D},
      {0x10EAB, 0x10EAC}, {0x10EFC, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070},
      {0x1133B, 0x1133B}, {0x11380, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11938, 0x11938},
      {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47},
      {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
      {0x16100, 0x16139}, {0x16D40, 0x16D79}, {0x16FF0, 0x16FF1}, {0x1CCD6, 0x1CCF9}, {0x1E030, 0x1E06D},
      {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
      {0x1E5EE, 0x1E5EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
  };
  return c >= 0x700 && set.contains(c);
}

unsigned combining_class(char32_t c) {
  if (c < 0x300 || came_after_unicode_9(c)) return 0;
  return unsigned(utf8proc_get_property(utf8proc_int32_t(c))->combining_class);
}

// The full decomposition of every character, in the order of the text.
std::u32string decompose(std::string_view text, bool compatible) {
  const auto options = utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8 next = decode_utf8(text.substr(i));
    i += next.length;
    utf8proc_int32_t parts[32];  // the longest decomposition has 18 characters
    int boundary = 0;
    utf8proc_ssize_t count = 0;
    if (next.code_point >= 0xA0 && !came_after_unicode_9(next.code_point)) {
      count = utf8proc_decompose_char(utf8proc_int32_t(next.code_point), parts, 32, options, &boundary);
    }
    if (count <= 0 || count > 32)
      out += next.code_point;
    else
      out.append(parts, parts + count);
  }
  return out;
}

// Sorts every run of combining characters by class, those of one class staying in order.
void order(std::u32string& text) {
  std::vector<std::pair<unsigned, char32_t>> run;
  for (size_t i = 0; i < text.size(); ++i) {
    run.clear();
    const size_t start = i;
    bool sorted = true;
    while (i < text.size()) {
      const unsigned rank = combining_class(text[i]);
      if (rank == 0) break;
      sorted = sorted && (run.empty() || run.back().first <= rank);
      run.emplace_back(rank, text[i++]);
    }
    if (sorted) continue;
    std::stable_sort(run.begin(), run.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t k = 0; k < run.size(); ++k) text[start + k] = run[k].second;
  }
}

// The character that two make, or 0.
char32_t composed(char32_t first, char32_t second) {
  // Only marks and the vowels and finals of Hangul come second. (utf8proc would swallow U+11A7, one before the finals.)
  const bool hangul = (second >= 0x1161 && second <= 0x1175) || (second >= 0x11A8 && second <= 0x11C2);
  if (second < 0x300 || (!hangul && (utf8proc_category(utf8proc_int32_t(second)) < UTF8PROC_CATEGORY_MN ||
                                     utf8proc_category(utf8proc_int32_t(second)) > UTF8PROC_CATEGORY_ME))) {
    return 0;
  }
  utf8proc_int32_t pair[] = {utf8proc_int32_t(first), utf8proc_int32_t(second)};
  const auto options = utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (utf8proc_normalize_utf32(pair, 2, options) != 1) return 0;
  const auto result = char32_t(pair[0]);
  return came_after_unicode_9(result) ? 0 : result;
}

// Joins each character that nothing separates from the last starter with it, where the two make one.
void compose(std::u32string& text) {
  size_t out = 0;
  size_t starter = text.npos;
  unsigned last_class = 0;  // of the character before, when it is not the starter itself
  for (const char32_t c : std::u32string(text)) {
    const unsigned rank = combining_class(c);
    const bool adjacent = starter != text.npos && starter + 1 == out;
    if (starter != text.npos && (adjacent || last_class < rank)) {
      if (const char32_t joined = composed(text[starter], c)) {
        text[starter] = joined;
        continue;
      }
    }
    if (rank == 0) starter = out;
    last_class = rank;
    text[out++] = c;
  }
  text.resize(out);
}

}  // namespace

std::string normalize(std::string_view text, NormalForm form) {
  std::u32string characters = decompose(text, form == NormalForm::kNfkc || form == NormalForm::kNfkd);
  order(characters);
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) compose(characters);
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : characters) append_utf8(out, c);
  return out;
}

namespace {

void read_normalizer(const Json& description, const std::string& where, int depth, std::vector<NormalForm>& forms) {
  if (description.is_null()) return;
  const Json* type = description.find("type");
  const std::string name = type && type->is_string() ? type->string() : "";
  const std::pair<const char*, NormalForm> known[] = {
      {"NFC", NormalForm::kNfc}, {"NFD", NormalForm::kNfd}, {"NFKC", NormalForm::kNfkc}, {"NFKD", NormalForm::kNfkd}};
  for (const auto& [known_name, form] : known) {
    if (name == known_name) return forms.push_back(form);
  }
  const Json* steps = description.find("normalizers");
  if (name != "Sequence" || !steps || !steps->is_array() || depth == kMaxDepth) {
    throw Error({.what = "not supported",
                 .where = where + ".type " + name,
                 .expected = "null, NFC, NFD, NFKC, NFKD or a Sequence of these"});
  }
  for (const Json& step : steps->array()) read_normalizer(step, where + ".normalizers", depth + 1, forms);
  if (forms.size() > kMaxSteps) throw Error({.what = "more than 8 normalizers", .where = where});
}

// Every character below is its own normal form, whatever stands around it (that stays below, too).
char32_t first_that_changes(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return 0x300;
    case NormalForm::kNfd:
      return 0xC0;
    default:
      return 0xA0;
  }
}

bool may_change(std::string_view text, NormalForm form) {
  const char32_t limit = first_that_changes(form);
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const Utf8 next = decode_utf8(text.substr(i));
    if (next.code_point >= limit) return true;
    i += next.length;
  }
  return false;
}

}  // namespace

Normalizer::Normalizer(const Json* description, const std::string& where) {
  if (description) read_normalizer(*description, where, 0, forms_);
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  for (const NormalForm form : forms_) {
    if (!may_change(text, form)) continue;
    buffer = normalize(text, form);
    text = buffer;
  }
  return text;
}

}  // namespace nemotron
