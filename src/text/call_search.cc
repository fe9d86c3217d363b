// CallSearch: what a tag does to each group of readers. The rules are those of AnswerParser.

#include "text/call_search.h"

#include <functional>
#include <iterator>
#include <tuple>
#include <utility>

namespace nemotron {
namespace {

uint64_t scramble(uint64_t x) {  // splitmix64's finalizer
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

bool closes(TagKind kind) {
  return kind == TagKind::kEndParameter || kind == TagKind::kEndFunction || kind == TagKind::kEndCall;
}

}  // namespace

void CallSearch::advance(std::string_view text, bool end) {
  for (;;) {
    if (!pending_) pending_ = tags_.next(text, end);
    if (!pending_) break;
    std::optional<Follower> follower;
    if (closes(pending_->kind) && !(follower = tags_.follower(text, end))) return;
    take(text, *std::exchange(pending_, {}), follower);
  }
  if (next_) {
    blank_ = skip_blanks(text, blank_);
    if (end || blank_ < tags_.decided()) next_.reset();
  }
  if (idle() && !found_) first_ = kNone;
}

void CallSearch::take(std::string_view text, const Tag& tag, std::optional<Follower> follower) {
  join_values(tag);
  const std::optional<size_t> next = std::exchange(next_, {});
  const bool may = follower && may_close(tag.kind, *follower);
  switch (tag.kind) {
    case TagKind::kCall:
      open(kCall, tag);
      if (found_ || work_ > allowed_) break;  // the first one counts
      next_ = tag.start;
      first_ = std::min(first_, tag.start);
      break;
    case TagKind::kFunction:
      open(kFunction, tag);
      if (next && !tag.name(text).empty() && skip_blanks(text, blank_) == tag.start)
        in_function_.push_back({.call = *next, .schema = tools_.find(tag.name(text))});
      break;
    case TagKind::kParameter:
      if (!tag.name(text).empty()) take_parameter(tag.name(text), tag);
      break;
    case TagKind::kEndParameter:
      close(kParameter, tag, may);
      break;
    case TagKind::kEndFunction:
    case TagKind::kEndCall: {
      const Readers done = std::exchange(in_function_, {});
      close(tag.kind == TagKind::kEndCall ? kCall : kFunction, tag, may);
      complete(done, tag.kind == TagKind::kEndFunction);
      break;
    }
  }
  blank_ = tag.end;
  allowed_ += 4;
  if (work_ > allowed_) {
    next_.reset();
    in_function_.clear();
    values_.clear();
  }
  if (values_.empty()) {
    for (auto& stack : open_) stack.clear();
    std::fill(std::begin(extras_), std::end(extras_), 0);
  }
  if (idle() && !found_) first_ = kNone;
}

// A tag at the start of a line is open for every value that began before it; one next to a value's beginning starts a
// line of that value only.
void CallSearch::open(int kind, const Tag& tag) {
  if (values_.empty()) return;
  if (tag.after_newline)
    open_[kind].push_back(tag.start);
  else if (tag.starts_line(values_.back().begin))
    ++extras_[values_.back().extra = kind];
}

// Every function takes the parameter; a value without open tags ends here if its function may have it and has it not
// yet.
void CallSearch::take_parameter(std::string_view name, const Tag& tag) {
  if (in_function_.empty() && values_.empty()) return;
  const uint32_t id = name_id(name);
  Readers moving = std::exchange(in_function_, {});
  const auto leave = [&](Value& value) {
    work_ += value.readers.size() + 1;
    const auto leaves = [&](const Reader& r) { return !r.given.contains(id) && r.knows(name); };
    const auto begin = std::partition(value.readers.begin(), value.readers.end(), std::not_fn(leaves));
    std::move(begin, value.readers.end(), std::back_inserter(moving));
    value.readers.erase(begin, value.readers.end());
    join_same(value.readers);
  };
  size_t from = values_.size();
  if (tag.after_newline) {
    for (const size_t behind = innermost(); from > 0 && values_[from - 1].begin >= behind; --from)
      if (values_[from - 1].extra == kKinds) leave(values_[from - 1]);
  } else if (from > 0 && tag.starts_line(values_.back().begin)) {
    leave(values_[--from]);
  }
  open(kParameter, tag);  // for those that stay
  drop_empty_values(from);
  for (Reader& reader : moving)
    if (reader.given.insert(id).second) reader.digest ^= scramble(id);
  work_ += moving.size();
  join_same(moving);
  if (!moving.empty()) values_.push_back({.begin = tag.end, .extra = kKinds, .readers = std::move(moving)});
}

// Closes the innermost open tag of a kind where there is one, and else the value, where the tag may.
void CallSearch::close(int kind, const Tag& tag, bool may) {
  const bool anywhere = kind == kParameter || tag.after_newline;
  const bool last_only = !(may && anywhere) && extras_[kind] == 0;  // else nothing happens to the others
  const size_t behind = innermost(kind), count = values_.size();
  Readers ended;
  size_t from = count;
  for (; from > 0 && values_[from - 1].begin >= behind && (from == count || !last_only); --from) {
    Value& value = values_[from - 1];
    ++work_;
    if (value.extra == kind) {
      --extras_[std::exchange(value.extra, kKinds)];
    } else if (may && (anywhere || (from == count && tag.starts_line(value.begin)))) {
      std::move(value.readers.begin(), value.readers.end(), std::back_inserter(ended));
      value.readers.clear();
    }
  }
  drop_empty_values(from);
  if (!open_[kind].empty()) open_[kind].pop_back();
  if (kind == kParameter)
    std::move(ended.begin(), ended.end(), std::back_inserter(in_function_));
  else
    complete(ended, kind == kFunction);
}

// Those before `from` are not empty.
void CallSearch::drop_empty_values(size_t from) {
  const auto kept = std::remove_if(values_.begin() + ptrdiff_t(from), values_.end(), [&](const Value& value) {
    if (value.readers.empty() && value.extra != kKinds) --extras_[value.extra];
    return value.readers.empty();
  });
  values_.erase(kept, values_.end());
}

// Closed calls; in their block another may follow.
void CallSearch::complete(const Readers& readers, bool in_block) {
  for (const Reader& reader : readers) {
    std::optional<size_t>& first = reader.schema ? found_ : next_;
    if ((reader.schema || in_block) && (!first || reader.call < *first)) first = reader.call;
  }
}

// Values without open tags are all the same, once the tag that may stand next to the last one's beginning has come.
void CallSearch::join_values(const Tag& tag) {
  while (values_.size() > 1 && values_.back().begin < tag.indented) {
    Value &last = values_.back(), &before = values_[values_.size() - 2];
    if (before.begin < innermost() || before.extra != kKinds || last.extra != kKinds) return;
    if (before.readers.size() < last.readers.size()) std::swap(before.readers, last.readers);
    std::move(last.readers.begin(), last.readers.end(), std::back_inserter(before.readers));
    values_.pop_back();
  }
}

void CallSearch::join_same(Readers& readers) {
  if (readers.size() < 2) return;
  const auto key = [](const Reader& r) { return std::tuple(r.schema, r.digest, r.call); };
  std::sort(readers.begin(), readers.end(), [&](const Reader& a, const Reader& b) { return key(a) < key(b); });
  const auto same = [](const Reader& a, const Reader& b) {
    return a.schema == b.schema && a.digest == b.digest && a.given == b.given;
  };
  readers.erase(std::unique(readers.begin(), readers.end(), same), readers.end());
}

uint32_t CallSearch::name_id(std::string_view name) {
  const auto found = names_.find(name);
  return found != names_.end() ? found->second : names_.emplace(name, uint32_t(names_.size())).first->second;
}

}  // namespace nemotron
