// Regex: the partition of Unicode into symbols, the pattern rewritten over them, and the search.

#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <new>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace nemotron {
namespace {

// What PCRE2 is first given: enough for all but long runs, little enough that no pattern can do harm with it.
constexpr size_t kWindow = 64;
constexpr uint32_t kSteps = 64;
// Published patterns need the time of a few clock ticks a character, and hardly any of it beyond the first window.
constexpr double kSeconds = 0.5, kSecondsPerByte = 0.1e-6;
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

// What a group of one thing holds.
const PatternNode& alone(const PatternNode& n) {
  return n.kind == PatternNode::kSequence && n.children.size() == 1 ? alone(n.children[0]) : n;
}

// The class X of a pattern that starts with a greedy, unlimited X+ or X*. If such a pattern does not match from the
// start of a run of X, it does not from inside the run either, where it has fewer ways; a search that tried would take
// time quadratic in the run (`\s+$`).
const PatternNode* leading_run(const PatternNode& root) {
  const PatternNode* first = &root;
  while (first->kind == PatternNode::kSequence && !first->children.empty()) first = &first->children[0];
  if (first->kind != PatternNode::kRepeat || first->max != PatternNode::kUnlimited) return nullptr;
  const PatternNode& inner = alone(first->children[0]);
  return first->mode == PatternNode::kGreedy && inner.kind == PatternNode::kSet ? &inner : nullptr;
}

bool has_search_start(const PatternNode& node) {
  return node.kind == PatternNode::kSearchStart ||
         std::any_of(node.children.begin(), node.children.end(), has_search_start);
}

// Writes a pattern in PCRE2's syntax over symbols.
class Writer {
 public:
  Writer(const Sets& sets, const Partition& partition) : sets_(sets), partition_(partition) {}

  // `searched_here`: the place is the one where the search began, for \G.
  std::string write(const PatternNode& root, bool searched_here) {
    out_.clear();
    searched_here_ = searched_here;
    node(root);
    return out_;
  }

 private:
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
        behind(n);
        break;
      case PatternNode::kRepeat:
        repeat(n);
        break;
      case PatternNode::kTextStart:
        out_ += "\\A";
        break;
      case PatternNode::kSearchStart:
        out_ += searched_here_ ? "" : "(?!)";
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

  // The alternatives may differ in length as long as nothing stands around them.
  void behind(const PatternNode& n) {
    const PatternNode& inner = alone(n.children[0]);
    const char* open = n.negated ? "(?<!" : "(?<=";
    if (inner.kind == PatternNode::kChoice)
      wrapped(open, inner, "|");
    else
      wrapped(open, n);
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
  bool searched_here_ = true;
};

// Of this thread: what else the machine does is not the pattern's fault.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

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
  Writer writer(sets, partition);
  const std::string pattern = writer.write(root, true);
  code_ = compiled(pattern, PCRE2_ANCHORED);
  if (has_search_start(root)) code_elsewhere_ = compiled(writer.write(root, false), PCRE2_ANCHORED);
  // PCRE2 finds out with what a match can start only where it may search for it.
  const uint8_t* starts = nullptr;
  const auto searching = compiled(pattern, 0);
  pcre2_pattern_info(searching.get(), PCRE2_INFO_FIRSTBITMAP, &starts);
  uint32_t first_type = 0, first = 0, least = 0;
  pcre2_pattern_info(searching.get(), PCRE2_INFO_FIRSTCODETYPE, &first_type);
  pcre2_pattern_info(searching.get(), PCRE2_INFO_FIRSTCODEUNIT, &first);
  pcre2_pattern_info(searching.get(), PCRE2_INFO_MINLENGTH, &least);
  for (size_t i = 0; i < starts_.size(); ++i) {
    starts_[i] = first_type == 1 ? i == first : !starts || (starts[i / 8] >> (i % 8) & 1);
  }
  may_be_empty_ = least == 0;
  if (const PatternNode* run = leading_run(root)) {
    for (const uint8_t symbol : partition.symbols_in[sets.index(run->set)]) leads_[symbol] = true;
  }
  symbol_of_ = std::move(partition.symbol_of);
}

std::shared_ptr<const pcre2_code> Regex::compiled(const std::string& pattern, uint32_t options) const {
  int code = 0;
  size_t offset = 0;
  pcre2_code* out =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &code, &offset, nullptr);
  if (!out) {
    throw Error({.what = "a regex that cannot be compiled: " + pcre2_message(code),
                 .where = where_,
                 .found = printable(source_)});
  }
  // Where the machine allows no generated code PCRE2 interprets the pattern: slower, with the same matches.
  if (options & PCRE2_ANCHORED) pcre2_jit_compile(out, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  return {out, [](const pcre2_code* c) { pcre2_code_free(const_cast<pcre2_code*>(c)); }};
}

RegexBudget::RegexBudget(size_t text_bytes) : seconds_(kSeconds + kSecondsPerByte * double(text_bytes)) {}

RegexBudget RegexBudget::of_seconds(double seconds) {
  RegexBudget out;
  out.seconds_ = seconds;
  return out;
}

RegexMatches::RegexMatches(const Regex& regex, std::string_view text, RegexWorkspace& workspace, RegexBudget& budget)
    : regex_(regex), text_(text), workspace_(workspace), budget_(budget) {
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
  for (size_t at = skip(search_from_); at <= symbols.size(); at = skip(at)) {
    size_t stop = 0;
    if (!match_at(at, stop)) {
      const size_t from = at++;
      if (from < symbols.size() && regex_.leads_[uint8_t(symbols[from])]) {
        while (at < symbols.size() && regex_.leads_[uint8_t(symbols[at])]) ++at;
      }
    } else if (at == stop && at == last_end_) {
      search_from_ = ++at;
    } else {
      begin = byte_of(at);
      end = byte_of(stop);
      search_from_ = last_end_ = stop;
      return true;
    }
  }
  search_from_ = symbols.size() + 1;
  return false;
}

size_t RegexMatches::skip(size_t at) const {
  const std::string& symbols = workspace_.symbols_;
  if (regex_.may_be_empty_) return at;
  while (at < symbols.size() && !regex_.starts_[uint8_t(symbols[at])]) ++at;
  return at < symbols.size() ? at : symbols.size() + 1;
}

bool RegexMatches::match_at(size_t at, size_t& end) {
  const size_t left = workspace_.symbols_.size() - at;
  size_t window = std::min(kWindow, left);
  uint32_t steps = kSteps;
  int found = ask(at, window, steps);
  while (found < 0 && found != PCRE2_ERROR_NOMATCH) {
    if (found == PCRE2_ERROR_PARTIAL) {
      window = window < left / 2 ? window * 2 : left;
      steps = std::max(steps, uint32_t(window));
    } else if (found == PCRE2_ERROR_MATCHLIMIT && steps < UINT32_MAX / 2) {
      steps *= 2;
    } else {
      give_up(pcre2_message(found));
    }
    found = ask_for_time(at, window, steps);
  }
  end = pcre2_get_ovector_pointer(workspace_.match_data_)[1];
  return found >= 0;
}

// Where the window ends before the text does, PCRE2 answers PARTIAL as soon as it would have looked beyond the window.
int RegexMatches::ask(size_t at, size_t window, uint32_t steps) {
  const std::string& symbols = workspace_.symbols_;
  if (workspace_.steps_ != steps) pcre2_set_match_limit(workspace_.context_, workspace_.steps_ = steps);
  const bool elsewhere = regex_.code_elsewhere_ && at != search_from_;
  return pcre2_match((elsewhere ? regex_.code_elsewhere_ : regex_.code_).get(),
                     reinterpret_cast<PCRE2_SPTR>(symbols.data()), at + window, at,
                     at + window < symbols.size() ? PCRE2_PARTIAL_HARD : 0, workspace_.match_data_,
                     workspace_.context_);
}

int RegexMatches::ask_for_time(size_t at, size_t window, uint32_t steps) {
  if (budget_.seconds_ <= 0) give_up("it takes too long");
  const double start = processor_seconds();
  const int found = ask(at, window, steps);
  budget_.seconds_ -= processor_seconds() - start;
  return found;
}

void RegexMatches::give_up(const std::string& why) const {
  throw Error({.what = "the regex gives up on this text: " + why,
               .where = regex_.where_,
               .found = printable(regex_.source_),
               .hint = "a regex that repeats what it repeats, or that looks far ahead from every place, can take "
                       "exponential or quadratic time; it must be rewritten"});
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
