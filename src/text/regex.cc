// Regex: the partition of Unicode into symbols, the pattern rewritten over them, and the search.

#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <map>
#include <new>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

// A match is given up after this many steps, plus some per character: far more than a pattern without nested repetition
// takes, and soon enough that a malicious one is an error and no hang.
constexpr size_t kSteps = 20'000, kStepsPerCharacter = 16;
constexpr size_t kJitStack = 32 << 20;
const CodePoints kNewline = {{'\n', '\n'}};

// Numbers the distinct sets of a pattern.
class Sets {
 public:
  explicit Sets(const PatternNode& root) { collect(root); }

  size_t index(const CodePoints& set) const {
    return size_t(std::find(sets_.begin(), sets_.end(), set) - sets_.begin());
  }
  size_t size() const { return sets_.size(); }
  const CodePoints& operator[](size_t i) const { return sets_[i]; }

 private:
  void add(const CodePoints& set) {
    if (index(set) == sets_.size()) sets_.push_back(set);
  }

  void collect(const PatternNode& node) {
    switch (node.kind) {
      case PatternNode::kSet:
        add(node.set);
        break;
      case PatternNode::kWordEdge:
        add(regex_word_characters(false));
        break;
      case PatternNode::kLineStart:
      case PatternNode::kLineEnd:
      case PatternNode::kLastLineEnd:
        add(kNewline);
        break;
      default:
        break;
    }
    for (const PatternNode& child : node.children) collect(child);
  }

  std::vector<CodePoints> sets_;
};

// The coarsest partition of Unicode in which every set is a union of parts.
struct Partition {
  std::vector<uint8_t> symbol_of;                // [0x110000]
  std::vector<std::vector<uint8_t>> symbols_in;  // by set

  Partition(const Sets& sets, const std::string& where) : symbol_of(CodePoints::kLast + 1), symbols_in(sets.size()) {
    struct Edge {
      char32_t at;
      uint32_t set;
    };
    std::vector<Edge> edges;  // where a set starts or stops
    for (uint32_t i = 0; i < sets.size(); ++i) {
      for (const CodePoints::Range& range : sets[i].ranges()) {
        edges.insert(edges.end(), {{range.first, i}, {range.last + 1, i}});
      }
    }
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });
    std::map<std::vector<bool>, uint8_t> symbol_for;  // the sets around a part -> its symbol
    std::vector<bool> inside(sets.size());
    char32_t from = 0;
    const auto close = [&](char32_t to) {
      if (from == to) return;
      const auto [found, is_new] = symbol_for.try_emplace(inside, uint8_t(symbol_for.size()));
      if (is_new) add(found->second, inside, where);
      std::fill(symbol_of.begin() + from, symbol_of.begin() + to, found->second);
      from = to;
    };
    for (const Edge& edge : edges) {
      close(edge.at);
      inside[edge.set] = !inside[edge.set];
    }
    close(CodePoints::kLast + 1);
  }

 private:
  void add(uint8_t symbol, const std::vector<bool>& inside, const std::string& where) {
    if (symbol == 255) {
      throw Error({.what = "a regex that cannot be compiled: it tells more than 255 kinds of characters apart",
                   .where = where});
    }
    for (size_t set = 0; set < inside.size(); ++set) {
      if (inside[set]) symbols_in[set].push_back(symbol);
    }
  }
};

// Writes a pattern in PCRE2's syntax over symbols.
class Writer {
 public:
  Writer(const Sets& sets, const Partition& partition) : sets_(sets), partition_(partition) {}

  std::string write(const PatternNode& root) {
    node(root);
    if (const PatternNode* run = leading_run(root)) out_ += "|" + characters(run->set) + "+(*SKIP)(*FAIL)";
    return std::move(out_);
  }

 private:
  // The class X of a pattern that starts with a greedy, unlimited X+ or X*. If such a pattern does not match from the
  // start of a run of X, it does not from inside the run either, where it has fewer ways; PCRE2 is told to pass over
  // the run, or a search would take time quadratic in it (`\s+$`).
  static const PatternNode* leading_run(const PatternNode& root) {
    const PatternNode* first = &root;
    while (first->kind == PatternNode::kSequence && !first->children.empty()) first = &first->children[0];
    if (first->kind != PatternNode::kRepeat || first->max != PatternNode::kUnlimited) return nullptr;
    const PatternNode& inner = alone(first->children[0]);
    return first->mode == PatternNode::kGreedy && inner.kind == PatternNode::kSet ? &inner : nullptr;
  }

  // What a group of one thing holds.
  static const PatternNode& alone(const PatternNode& n) {
    return n.kind == PatternNode::kSequence && n.children.size() == 1 ? alone(n.children[0]) : n;
  }

  std::string characters(const CodePoints& set) const {
    const std::vector<uint8_t>& symbols = partition_.symbols_in[sets_.index(set)];
    if (symbols.empty()) return "[^\\x00-\\xff]";
    std::string out = "[";
    for (const uint8_t symbol : symbols) out += fmt::format("\\x{:02x}", symbol);
    return out + "]";
  }

  void node(const PatternNode& n) {
    switch (n.kind) {
      case PatternNode::kSet:
        out_ += characters(n.set);
        break;
      case PatternNode::kSequence:
        wrapped("(?:", n);
        break;
      case PatternNode::kChoice:
        wrapped("(?:", n, "|");
        break;
      case PatternNode::kAtomic:
        wrapped("(?>", n);
        break;
      case PatternNode::kAhead:
        wrapped(n.negated ? "(?!" : "(?=", n);
        break;
      case PatternNode::kBehind:
        wrapped(n.negated ? "(?<!" : "(?<=", n);
        break;
      case PatternNode::kRepeat:
        repeat(n);
        break;
      case PatternNode::kTextStart:
        out_ += "\\A";
        break;
      case PatternNode::kTextEnd:
        out_ += "\\z";
        break;
      case PatternNode::kLastLineEnd:
        out_ += fmt::format("(?={}?\\z)", characters(kNewline));
        break;
      case PatternNode::kLineStart:
        out_ += fmt::format("(?:\\A|(?<={})(?!\\z))", characters(kNewline));
        break;
      case PatternNode::kLineEnd:
        out_ += fmt::format("(?={}|\\z)", characters(kNewline));
        break;
      case PatternNode::kWordEdge:
        word_edge(n.negated);
        break;
    }
  }

  void list(const PatternNode& n, const char* between) {
    for (size_t i = 0; i < n.children.size(); ++i) {
      if (i > 0) out_ += between;
      node(n.children[i]);
    }
  }

  void wrapped(const char* open, const PatternNode& n, const char* between = "") {
    out_ += open;
    list(n, between);
    out_ += ")";
  }

  // A repeated class stays bare: PCRE2 runs over it without keeping a way back for every character.
  void repeat(const PatternNode& n) {
    const PatternNode& inner = alone(n.children[0]);
    const bool bare = inner.kind == PatternNode::kSet;
    if (!bare) out_ += "(?:";
    node(inner);
    if (!bare) out_ += ")";
    out_ += n.max == PatternNode::kUnlimited ? fmt::format("{{{},}}", n.min) : fmt::format("{{{},{}}}", n.min, n.max);
    if (n.mode == PatternNode::kLazy) out_ += "?";
    if (n.mode == PatternNode::kPossessive) out_ += "+";
  }

  void word_edge(bool negated) {
    const std::string w = characters(regex_word_characters(false));
    if (negated)
      out_ += fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", w);
    else
      out_ += fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", w);
  }

  const Sets& sets_;
  const Partition& partition_;
  std::string out_;
};

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

RegexWorkspace::RegexWorkspace()
    : match_data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(32 << 10, kJitStack, nullptr)) {
  if (!match_data_ || !context_) throw std::bad_alloc();
  if (stack_) pcre2_jit_stack_assign(context_, nullptr, stack_);
}

RegexWorkspace::~RegexWorkspace() {
  pcre2_jit_stack_free(stack_);
  pcre2_match_context_free(context_);
  pcre2_match_data_free(match_data_);
}

Regex::Regex(std::string_view pattern, const std::string& where)
    : Regex(parse_pattern(pattern, where), std::string(pattern), where) {}

Regex Regex::literal(std::string_view text, const std::string& where) {
  PatternNode root;
  for (size_t i = 0; i < text.size();) {
    const Utf8 next = decode_utf8(text.substr(i));
    root.children.push_back({.kind = PatternNode::kSet, .set = {{next.code_point, next.code_point}}});
    i += next.length;
  }
  return Regex(root, std::string(text), where);
}

Regex Regex::any_of(const CodePoints& set, const std::string& where) {
  return Regex({.kind = PatternNode::kSet, .set = set}, "a set of characters", where);
}

Regex::Regex(const PatternNode& root, std::string source, const std::string& where)
    : source_(std::move(source)), where_(where) {
  const Sets sets(root);
  Partition partition(sets, where);
  const std::string pattern = Writer(sets, partition).write(root);
  int code = 0;
  size_t offset = 0;
  pcre2_code* compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), 0, &code, &offset, nullptr);
  if (!compiled) {
    throw Error({.what = "a regex that cannot be compiled: " + pcre2_message(code),
                 .where = where,
                 .found = printable(source_)});
  }
  code_ = std::shared_ptr<const pcre2_code>(compiled,
                                            [](const pcre2_code* c) { pcre2_code_free(const_cast<pcre2_code*>(c)); });
  // Where the machine allows no generated code PCRE2 interprets the pattern: slower, with the same matches.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  symbol_of_ = std::move(partition.symbol_of);
}

RegexMatches::RegexMatches(const Regex& regex, std::string_view text, RegexWorkspace& workspace)
    : regex_(regex), text_(text), workspace_(workspace) {
  const uint8_t* symbol_of = regex.symbol_of_.data();
  std::string& symbols = workspace.symbols_;
  symbols.resize(text.size());
  char* out = symbols.data();
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      *out++ = char(symbol_of[byte]);
      ++i;
    } else {
      const Utf8 next = decode_utf8(text.substr(i));
      *out++ = char(symbol_of[next.code_point]);
      i += next.length;
    }
  }
  symbols.resize(size_t(out - symbols.data()));
  ascii_ = symbols.size() == text.size();
}

bool RegexMatches::next(size_t& begin, size_t& end) {
  const std::string& symbols = workspace_.symbols_;
  while (search_from_ <= symbols.size()) {
    const size_t left = symbols.size() - search_from_;
    pcre2_set_match_limit(workspace_.context_,
                          uint32_t(std::min(kSteps + kStepsPerCharacter * left, size_t{UINT32_MAX})));
    const int found = pcre2_match(regex_.code_.get(), reinterpret_cast<PCRE2_SPTR>(symbols.data()), symbols.size(),
                                  search_from_, 0, workspace_.match_data_, workspace_.context_);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error({.what = "the regex gives up on this text: " + pcre2_message(found),
                   .where = regex_.where_,
                   .found = printable(regex_.source_),
                   .hint = "a regex with nested repetition can take exponential time; it must be rewritten"});
    }
    const size_t* at = pcre2_get_ovector_pointer(workspace_.match_data_);
    if (at[0] == at[1] && at[1] == last_end_) {
      ++search_from_;
      continue;
    }
    begin = byte_of(at[0]);
    end = byte_of(at[1]);
    search_from_ = last_end_ = at[1];
    return true;
  }
  return false;
}

size_t RegexMatches::byte_of(size_t symbol) {
  if (ascii_) return symbol;
  for (; known_symbol_ < symbol; ++known_symbol_) {
    // A lead byte says how long its character is; the text is UTF-8.
    const auto lead = static_cast<unsigned char>(text_[known_byte_]);
    known_byte_ += lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  }
  return known_byte_;
}

}  // namespace nemotron
