// Pretokenizer: the steps of a Sequence, each cutting the pieces of the one before.

#include "text/pretokenizer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

constexpr size_t kMaxSteps = 16;   // the longest published Sequence has 7
constexpr int kMaxByteLevels = 3;  // each can double the text; published files have one
constexpr int kMaxDepth = 8;

// The regex that ByteLevel brings (GPT-2's).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

const Json& member(const Json& description, const char* key, const std::string& where) {
  const Json* found = description.find(key);
  if (!found) throw Error({.what = "a field is missing", .where = where + "." + key});
  return *found;
}

bool flag(const Json& description, const char* key, const std::string& where, std::optional<bool> otherwise = {}) {
  const Json* found = description.find(key);
  if (!found && otherwise) return *otherwise;
  const Json& value = member(description, key, where);
  if (!value.is_bool()) {
    throw Error(
        {.what = "wrong kind of value", .where = where + "." + key, .expected = "boolean", .found = value.kind()});
  }
  return value.boolean();
}

}  // namespace

Pretokenizer::Pretokenizer(const Json* description, const std::string& where) {
  if (description && !description->is_null()) read(*description, where, 0);
  int byte_levels = 0;
  for (const Step& step : steps_) byte_levels += step.to_stand_ins;
  if (byte_levels > kMaxByteLevels) throw Error({.what = "more than 3 times ByteLevel", .where = where});
  if (byte_levels == 0) {
    throw Error({.what = "there is no ByteLevel: this is no byte-level tokenizer",
                 .where = where,
                 .expected = "ByteLevel, or a Sequence that has one",
                 .found = description ? description->kind() : "nothing"});
  }
  ends_in_bytes_ = steps_.back().to_stand_ins;
}

void Pretokenizer::read(const Json& description, const std::string& where, int depth) {
  const Json* type = description.find("type");
  const std::string name = type && type->is_string() ? type->string() : "";
  if (steps_.size() == kMaxSteps) throw Error({.what = "more than 16 steps", .where = where});
  if (name == "Sequence") {
    const Json& steps = member(description, "pretokenizers", where);
    if (!steps.is_array() || depth == kMaxDepth)
      throw Error({.what = "no list of steps", .where = where + ".pretokenizers"});
    for (size_t i = 0; i < steps.array().size(); ++i) {
      read(steps.array()[i], fmt::format("{}.pretokenizers[{}]", where, i), depth + 1);
    }
  } else if (name == "Split") {
    read_split(description, where);
  } else if (name == "ByteLevel") {
    Step step;
    step.prefix_space = flag(description, "add_prefix_space", where);
    step.to_stand_ins = true;
    if (flag(description, "use_regex", where, true)) step.regex.emplace(kByteLevelPattern, where);
    steps_.push_back(std::move(step));
  } else if (name == "Digits") {
    const bool one_by_one = flag(description, "individual_digits", where);
    steps_.push_back({.regex = Regex::any_of(numeric_characters(), where),
                      .behavior = one_by_one ? Behavior::kIsolated : Behavior::kContiguous});
  } else if (name == "Punctuation") {
    steps_.push_back({.regex = Regex::any_of(punctuation_characters(), where)});
    if (description.find("behavior")) read_behavior(description, where, steps_.back());
  } else {
    throw Error({.what = "not supported",
                 .where = where + ".type " + name,
                 .expected = "Sequence, Split, ByteLevel, Digits or Punctuation"});
  }
}

void Pretokenizer::read_split(const Json& description, const std::string& where) {
  const Json& pattern = member(description, "pattern", where);
  const Json* regex = pattern.find("Regex");
  const Json* text = pattern.find("String");
  const Json* given = regex ? regex : text;
  const std::string at = where + (regex ? ".pattern.Regex" : ".pattern.String");
  if (!given || !given->is_string() || (regex && text)) {
    throw Error({.what = "no pattern", .where = where + ".pattern", .expected = "{\"Regex\": …} or {\"String\": …}"});
  }
  Step step{.regex = regex ? Regex(given->string(), at) : Regex::literal(given->string(), at),
            .invert = flag(description, "invert", where)};
  read_behavior(description, where, step);
  steps_.push_back(std::move(step));
}

void Pretokenizer::read_behavior(const Json& description, const std::string& where, Step& step) {
  const Json& behavior = member(description, "behavior", where);
  const std::pair<const char*, Behavior> known[] = {{"Removed", Behavior::kRemoved},
                                                    {"Isolated", Behavior::kIsolated},
                                                    {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                    {"MergedWithNext", Behavior::kMergedWithNext},
                                                    {"Contiguous", Behavior::kContiguous}};
  for (const auto& [name, value] : known) {
    if (behavior == Json(name)) {
      step.behavior = value;
      return;
    }
  }
  throw Error({.what = "the behavior is not known",
               .where = where + ".behavior",
               .expected = "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
               .found = behavior.dump()});
}

namespace {

// Joins matches and gaps, coming from left to right, into pieces. An empty match is no piece but counts as a match.
template <typename Behavior, typename Piece>
class Joiner {
 public:
  Joiner(Behavior behavior, Piece& piece) : behavior_(behavior), piece_(piece) {}

  void add(size_t begin, size_t end, bool is_match) {
    bool joins = false;
    switch (behavior_) {
      case Behavior::kRemoved:
        if (!is_match) piece_(begin, end);
        return;
      case Behavior::kIsolated:
        piece_(begin, end);
        return;
      case Behavior::kContiguous:
        joins = is_match == last_is_match_;
        break;
      case Behavior::kMergedWithPrevious:
        joins = is_match && !last_is_match_;
        break;
      case Behavior::kMergedWithNext:
        joins = !is_match && last_is_match_;
        break;
    }
    if (any_ && !joins) piece_(begin_, end_);
    if (!any_ || !joins) begin_ = begin;
    end_ = end;
    any_ = true;
    last_is_match_ = is_match;
  }

  void finish() {
    if (any_) piece_(begin_, end_);
  }

 private:
  Behavior behavior_;
  Piece& piece_;
  bool any_ = false, last_is_match_ = false;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace

void Pretokenizer::run(size_t index, std::string_view text, PretokenizerWorkspace& workspace,
                       const Receive& word) const {
  if (text.empty()) return;
  if (index == steps_.size()) return finish(text, workspace, word);
  const Step& step = steps_[index];
  PretokenizerWorkspace::Step& own = workspace.steps[index];
  if (step.prefix_space && text[0] != ' ') {
    own.prefixed.assign(1, ' ').append(text);
    text = own.prefixed;
  }
  const bool map = step.to_stand_ins && !(ends_in_bytes_ && index + 1 == steps_.size());
  const auto piece = [&](size_t begin, size_t end) {
    std::string_view part = text.substr(begin, end - begin);
    if (map) part = own.mapped = stand_ins_of(part);
    run(index + 1, part, workspace, word);
  };
  if (!step.regex) return piece(0, text.size());
  Joiner joiner(step.behavior, piece);
  RegexMatches matches(*step.regex, text, own.regex, workspace.budget);
  size_t done = 0;
  for (size_t begin = 0, end = 0; matches.next(begin, end); done = end) {
    if (done < begin) joiner.add(done, begin, step.invert);
    joiner.add(begin, end, !step.invert);
  }
  if (done < text.size()) joiner.add(done, text.size(), step.invert);
  joiner.finish();
}

void Pretokenizer::finish(std::string_view text, PretokenizerWorkspace& workspace, const Receive& word) const {
  if (ends_in_bytes_) return word(text);
  workspace.bytes.clear();
  append_bytes_of(text, workspace.bytes);
  word(workspace.bytes);
}

}  // namespace nemotron
