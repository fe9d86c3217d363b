// AnswerParser: in text, in a function, or in a value, moved by tags (spec/model.md 9.3).

#include "text/answer_parser.h"

#include <utility>
#include <vector>

#include "text/argument.h"

namespace nemotron {
namespace {

// One newline at each end of a value is the template's.
std::string_view without_newlines(std::string_view text) {
  if (text.starts_with("\r\n"))
    text.remove_prefix(2);
  else if (text.starts_with('\n'))
    text.remove_prefix(1);
  if (text.ends_with("\r\n"))
    text.remove_suffix(2);
  else if (text.ends_with('\n'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

void AnswerParser::advance(std::string_view text, bool end, std::vector<OutputDelta>& out) {
  if (!offered()) return show(text, text.size(), end, out);
  for (;;) {
    if (!pending_) pending_ = tags_.next(text, end);
    if (!pending_) break;
    std::optional<Follower> follower;
    if (needs_follower(*pending_) && !(follower = tags_.follower(text, end))) return;
    take(text, *std::exchange(pending_, {}), follower, out);
  }
  if (place_ == Place::kText) {
    for (std::optional<Expected>* expected : {&block_, &more_}) {
      if (!*expected) continue;
      (*expected)->blank = skip_blanks(text, (*expected)->blank);
      if (end || (*expected)->blank < tags_.decided()) expected->reset();
    }
    return show(text, block_ ? block_->start : tags_.decided(), end, out);
  }
  if (!end) return;
  if (place_ == Place::kValue) end_value(text, text.size());
  end_call(text.size(), false, out);
}

// Closing tags may be part of a value or close it.
bool AnswerParser::needs_follower(const Tag& tag) const {
  if (place_ != Place::kValue) return false;
  switch (tag.kind) {
    case TagKind::kEndParameter:
      return parameters_ == 0;
    case TagKind::kEndFunction:
      return functions_ == 0 && tag.starts_line(value_);
    case TagKind::kEndCall:
      return blocks_ == 0 && tag.starts_line(value_);
    default:
      return false;
  }
}

void AnswerParser::take(std::string_view text, const Tag& tag, std::optional<Follower> follower,
                        std::vector<OutputDelta>& out) {
  switch (place_) {
    case Place::kText:
      return take_in_text(text, tag, out);
    case Place::kFunction:
      return take_in_function(text, tag, out);
    case Place::kValue:
      return take_in_value(text, tag, follower, out);
  }
}

void AnswerParser::take_in_text(std::string_view text, const Tag& tag, std::vector<OutputDelta>& out) {
  const auto next_to = [&](const std::optional<Expected>& expected) {
    return expected && skip_blanks(text, expected->blank) == tag.start;
  };
  const bool in_block = next_to(block_), more = next_to(more_);
  const size_t block_start = block_ ? block_->start : 0;
  block_.reset();
  more_.reset();
  const bool named = tag.kind == TagKind::kFunction && !tag.name(text).empty();
  if (tag.kind == TagKind::kCall)
    block_ = Expected{tag.start, tag.end};
  else if (named && in_block)
    begin_call(text, tag, block_start, true, out);
  else if (named && more && in_block_)
    begin_call(text, tag, sent_, true, out);
  else if (named && tools_->find(tag.name(text)) && tag.starts_line(begin_))
    begin_call(text, tag, tag.start, false, out);
  else if (tag.kind == TagKind::kEndCall && more)
    sent_ = blank_ = tag.end;
}

void AnswerParser::take_in_function(std::string_view text, const Tag& tag, std::vector<OutputDelta>& out) {
  if (tag.kind == TagKind::kEndFunction || tag.kind == TagKind::kEndCall) {
    end_call(tag.end, true, out);
    if (tag.kind == TagKind::kEndFunction) more_ = Expected{tag.start, tag.end};
  } else if (tag.kind == TagKind::kParameter && !tag.name(text).empty()) {
    begin_value(text, tag);
  }
}

void AnswerParser::take_in_value(std::string_view text, const Tag& tag, std::optional<Follower> follower,
                                 std::vector<OutputDelta>& out) {
  const bool line = tag.starts_line(value_), may = follower && may_close(tag.kind, *follower);
  // The value ends without its own tag: before this one, or before the last </parameter> where that stands next to it.
  const auto end_before = [&] {
    end_value(text, balanced_ && skip_blanks(text, balanced_->end) == tag.start ? balanced_->start : tag.start);
    take_in_function(text, tag, out);
  };
  switch (tag.kind) {
    case TagKind::kEndParameter:
      if (parameters_ > 0) {
        --parameters_;
        balanced_ = tag;
      } else if (may) {
        end_value(text, tag.start);
      }
      return;
    case TagKind::kParameter: {
      const std::string_view name = tag.name(text);
      if (!line || name.empty()) return;
      const bool known = !schema_ || schema_->parameters.empty() || schema_->parameters.contains(name);
      if (parameters_ + functions_ + blocks_ == 0 && known && !given_.contains(name)) return end_before();
      ++parameters_;
      return;
    }
    case TagKind::kEndFunction:
      if (functions_ > 0)
        --functions_;
      else if (line && may)
        end_before();
      return;
    case TagKind::kEndCall:
      if (blocks_ > 0)
        --blocks_;
      else if (line && may)
        end_before();
      return;
    case TagKind::kFunction:
      functions_ += line;
      return;
    case TagKind::kCall:
      blocks_ += line;
      return;
  }
}

// Sends the current piece up to `limit`, but for a newline at its end, which may belong to a tag that comes next;
// `whole`: nothing comes next. Blanks at the start wait until it is known that the piece is not blank.
void AnswerParser::show(std::string_view text, size_t limit, bool whole, std::vector<OutputDelta>& out) {
  std::string lead;
  if (!piece_shown_) {
    blank_ = std::min(skip_blanks(text, blank_), limit);
    if (blank_ == limit && !(whole && calls_ == 0)) return;
    if (calls_ > 0 && text.substr(sent_, limit - sent_).starts_with('\n')) ++sent_;
    if (shown_) lead = "\n";
    piece_shown_ = true;
  }
  if (!whole && offered() && limit > sent_ && text[limit - 1] == '\n') --limit;
  if (limit <= sent_) return;
  out.push_back({.kind = OutputDelta::kContent, .text = lead.append(text.substr(sent_, limit - sent_))});
  shown_ = true;
  sent_ = limit;
}

// The text before the call ends at `piece_end`, less a newline.
void AnswerParser::begin_call(std::string_view text, const Tag& function, size_t piece_end, bool in_block,
                              std::vector<OutputDelta>& out) {
  show(text, piece_end, false, out);
  in_block_ = in_block;
  schema_ = tools_->find(function.name(text));
  call_ = ToolCall{.name = std::string(function.name(text))};
  given_.clear();
  place_ = Place::kFunction;
  out.push_back({.kind = OutputDelta::kCallBegins, .text = call_.name, .index = calls_++});
}

// A new piece of text begins at `end`.
void AnswerParser::end_call(size_t end, bool complete, std::vector<OutputDelta>& out) {
  call_.complete = complete;
  out.push_back({.kind = OutputDelta::kCallEnds, .index = calls_ - 1, .call = std::move(call_)});
  place_ = Place::kText;
  sent_ = blank_ = end;
  piece_shown_ = false;
}

void AnswerParser::begin_value(std::string_view text, const Tag& parameter) {
  key_ = parameter.name(text);
  value_ = parameter.end;
  parameters_ = functions_ = blocks_ = 0;
  balanced_.reset();
  place_ = Place::kValue;
  if (given_.try_emplace(key_, given_.size()).second) call_.arguments.object().emplace_back(key_, Json());
}

// Given twice, the last value counts, in the place of the first.
void AnswerParser::end_value(std::string_view text, size_t end) {
  static const std::vector<JsonType> kAnything;
  const std::vector<JsonType>* types = &kAnything;
  if (schema_) {
    if (const auto found = schema_->parameters.find(key_); found != schema_->parameters.end()) types = &found->second;
  }
  call_.arguments.object()[given_.at(key_)].second =
      argument_value(without_newlines(text.substr(value_, end - value_)), *types);
  place_ = Place::kFunction;
}

}  // namespace nemotron
