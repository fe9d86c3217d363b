// OutputParser: where the thought begins and ends; what follows it is left to AnswerParser.

#include "text/output_parser.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/utf8.h"
#include "text/answer_parser.h"
#include "text/call_search.h"
#include "text/call_tags.h"

namespace nemotron {
namespace {

void apply(const OutputDelta& delta, ParsedOutput& out) {
  const auto append = [&](std::optional<std::string>& text) { (text ? *text : text.emplace()) += delta.text; };
  switch (delta.kind) {
    case OutputDelta::kReasoning:
      return append(out.reasoning);
    case OutputDelta::kContent:
      return append(out.content);
    case OutputDelta::kCallBegins:
      out.tool_calls.push_back({.name = delta.text});
      return;
    case OutputDelta::kCallEnds:
      out.tool_calls[delta.index] = delta.call;
      return;
    case OutputDelta::kRestart:
      out = {};
      return;
  }
}

// Where `tag` stands first in a growing text, or how far it is certain that it does not.
struct TagSearch {
  std::string_view tag;
  size_t at;  // it does not start before this
  bool find(std::string_view text, bool end) {
    const size_t found = text.find(tag, at);
    if (found != text.npos) {
      at = found;
      return true;
    }
    size_t kept = end ? 0 : std::min(text.size() - at, tag.size() - 1);
    while (kept > 0 && !tag.starts_with(text.substr(text.size() - kept))) --kept;
    at = text.size() - kept;
    return false;
  }
};

// Whether a block of calls begins in a growing text: <tool_call>, and next to it a function with a name.
struct BlockSearch {
  TagScanner tags;
  size_t call_end = std::string_view::npos;
  bool find(std::string_view text) {
    while (const std::optional<Tag> tag = tags.next(text, false)) {
      if (tag->kind == TagKind::kFunction && call_end <= tag->start && !tag->name(text).empty() &&
          skip_blanks(text, call_end) == tag->start)
        return true;
      call_end = tag->kind == TagKind::kCall ? tag->end : text.npos;
    }
    return false;
  }
};

// The length of `text` less what may be the start of a character at its end.
size_t whole_characters(std::string_view text) {
  for (size_t length = 1; length <= std::min<size_t>(text.size(), 3); ++length) {
    const size_t at = text.size() - length;
    if ((text[at] & 0xC0) != 0x80) return decode_utf8(text.substr(at)).kind == Utf8::kCut ? at : text.size();
  }
  return text.size();
}

}  // namespace

class OutputParser::Machine {
 public:
  Machine(OutputStyle style, const ToolSchemas* tools)
      : style_(style), tools_(tools && !tools->empty() ? tools : nullptr), thinking_(style.thinking_open) {}

  std::vector<OutputDelta> put(std::string_view piece, bool end) {
    cut_ += piece;
    const size_t whole = end ? cut_.size() : whole_characters(cut_);
    text_.append(cut_, 0, whole);
    cut_.erase(0, whole);
    applied_ = 0;
    advance(end);
    apply_new();
    return std::exchange(out_, {});
  }

  bool thinking() const { return thinking_; }
  const ParsedOutput& result() const { return result_; }

 private:
  // Each step goes on to a later one once it is done.
  enum class Step {
    kHead,           // blanks and a <think>, which is not part of the text
    kThought,        // until </think>
    kBehindThought,  // the newline behind that
    kClosed,         // an answer, until a </think> makes it a thought
    kBehindClosed,   // blanks behind that </think>: only if more follows, the thought is not the answer after all
    kAnswer,
    kDone
  };

  std::string_view text() const { return text_; }
  bool swaps() const { return !style_.thinking_open || style_.force_nonempty_content; }

  void advance(bool end) {
    if (step_ == Step::kHead) read_head(end);
    if (step_ == Step::kThought) read_thought(end);
    if (step_ == Step::kBehindThought) pass_newline(end);
    if (step_ == Step::kClosed) read_closed(end);
    if (step_ == Step::kBehindClosed) pass_blanks(end);
    if (step_ == Step::kAnswer) read_answer(end);
  }

  void read_head(bool end) {
    blank_ = skip_blanks(text(), blank_);
    const std::string_view rest = text().substr(blank_);
    if (rest.starts_with(kThinkStart)) {
      begin_ = blank_ + kThinkStart.size();
      if (begin_ == text_.size() && !end) return;
      if (begin_ < text_.size() && text_[begin_] == '\n') ++begin_;
      thinking_ = true;
    } else if (!end && kThinkStart.starts_with(rest)) {
      return;
    }
    sent_ = begin_;
    end_think_.at = begin_;
    if (thinking_) {
      step_ = Step::kThought;
      if (tools_) calls_.emplace(*tools_, begin_);
    } else {
      step_ = Step::kClosed;
      block_.tags = TagScanner(begin_);
      begin_answer(begin_);
    }
  }

  void read_thought(bool end) {
    const bool found = end_think_.find(text(), end);
    size_t limit = end_think_.at;
    std::optional<size_t> call;
    if (!found && calls_) {
      calls_->advance(text().substr(0, limit), end);
      call = end ? calls_->found() : std::nullopt;
      if (!end || call) limit = std::min(limit, call.value_or(calls_->undecided()));
    }
    thought_end_ = before_newline(limit);
    if (!found && !call && end && swaps() && thought_end_ > begin_) return become_content();
    show_thought();
    if (found) {
      step_ = Step::kBehindThought;
      answer_begin_ = end_think_.at + kThinkEnd.size();
    } else if (call) {
      step_ = Step::kAnswer;
      begin_answer(*call);
    }
    if (found || call)
      thinking_ = false;
    else if (end)
      step_ = Step::kDone;
  }

  void pass_newline(bool end) {
    if (answer_begin_ == text_.size() && !end) return;
    step_ = Step::kAnswer;
    begin_answer(answer_begin_ + text().substr(answer_begin_).starts_with('\n'));
  }

  void read_closed(bool end) {
    size_t limit = text_.size();
    if (!certain_) {
      const bool found = end_think_.find(text(), end);
      limit = end_think_.at;
      certain_ = tools_ && block_.find(text().substr(0, limit));
      if (certain_) {
        limit = text_.size();
      } else if (found) {
        thought_end_ = before_newline(limit);
        answer_begin_ = blank_ = limit + kThinkEnd.size();
        step_ = Step::kBehindClosed;
        return;
      } else if (!end) {
        limit = before_newline(limit);
      }
    }
    answer_->advance(text().substr(0, limit), end, out_);
    if (end) step_ = Step::kDone;
  }

  void pass_blanks(bool end) {
    blank_ = skip_blanks(text(), blank_);
    if (blank_ == text_.size() && !end) return;
    if (blank_ == text_.size() && thought_end_ > begin_) return become_content();
    apply_new();
    if (result_ != ParsedOutput{}) out_.push_back({.kind = OutputDelta::kRestart});
    show_thought();
    step_ = Step::kAnswer;
    begin_answer(answer_begin_ + text().substr(answer_begin_).starts_with('\n'));
  }

  void read_answer(bool end) {
    if (end && swaps() && thought_end_ > begin_ && skip_blanks(text(), answer_begin_) == text_.size())
      return become_content();
    answer_->advance(text(), end, out_);
    if (end) step_ = Step::kDone;
  }

  void begin_answer(size_t at) {
    answer_begin_ = at;
    answer_.emplace(tools_, at);
  }

  // A newline before a tag belongs to the tag; before what may become a tag, it waits.
  size_t before_newline(size_t limit) const { return limit - (limit > begin_ && text_[limit - 1] == '\n'); }

  void show_thought() {
    if (thought_end_ <= sent_) return;
    out_.push_back({.kind = OutputDelta::kReasoning, .text = text_.substr(sent_, thought_end_ - sent_)});
    sent_ = thought_end_;
  }

  // At the end: the thought is the answer.
  void become_content() {
    apply_new();
    std::vector<OutputDelta> deltas;
    AnswerParser(tools_, begin_).advance(text().substr(0, thought_end_), true, deltas);
    ParsedOutput whole;
    for (const OutputDelta& delta : deltas) apply(delta, whole);
    const std::string sent = result_.content.value_or("");
    if (result_.reasoning || !result_.tool_calls.empty() || !whole.content.value_or("").starts_with(sent)) {
      out_.push_back({.kind = OutputDelta::kRestart});
    } else if (!sent.empty()) {  // what was sent stands
      if (whole.content->size() > sent.size())
        out_.push_back({.kind = OutputDelta::kContent, .text = whole.content->substr(sent.size())});
      std::erase_if(deltas, [](const OutputDelta& delta) { return delta.kind == OutputDelta::kContent; });
    }
    std::move(deltas.begin(), deltas.end(), std::back_inserter(out_));
    step_ = Step::kDone;
  }

  void apply_new() {
    for (; applied_ < out_.size(); ++applied_) apply(out_[applied_], result_);
  }

  OutputStyle style_;
  const ToolSchemas* tools_;  // null where there are none
  std::string text_;          // all of it
  std::string cut_;           // but the start of a character, if it ends so
  ParsedOutput result_;
  std::vector<OutputDelta> out_;
  size_t applied_ = 0;  // of out_, to the result

  Step step_ = Step::kHead;
  bool thinking_;
  size_t begin_ = 0;                                // behind the head
  size_t blank_ = 0;                                // before this are blanks, in kHead and kBehindClosed
  TagSearch end_think_{.tag = kThinkEnd, .at = 0};  // in kThought and kClosed
  std::optional<CallSearch> calls_;                 // in kThought
  size_t sent_ = 0, thought_end_ = 0;               // of the thought: sent to here; known to here, or ends here
  BlockSearch block_{.tags = TagScanner(0)};        // in kClosed
  bool certain_ = false;                            // in kClosed: a block of calls has begun, and </think> is text
  size_t answer_begin_ = 0;
  std::optional<AnswerParser> answer_;
};

OutputParser::OutputParser(OutputStyle style, const ToolSchemas* tools)
    : machine_(std::make_unique<Machine>(style, tools)) {}
OutputParser::~OutputParser() = default;
OutputParser::OutputParser(OutputParser&&) noexcept = default;
OutputParser& OutputParser::operator=(OutputParser&&) noexcept = default;

std::vector<OutputDelta> OutputParser::put(std::string_view piece) { return machine_->put(piece, false); }
std::vector<OutputDelta> OutputParser::finish() { return machine_->put({}, true); }
bool OutputParser::thinking() const { return machine_->thinking(); }
const ParsedOutput& OutputParser::result() const { return machine_->result(); }

bool OutputParser::opens(std::string_view prompt) { return trim_blanks(prompt).ends_with(kThinkStart); }

}  // namespace nemotron
