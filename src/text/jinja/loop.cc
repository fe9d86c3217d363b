// Loop: moving on, looking ahead, counting.

#include "text/jinja/loop.h"

#include "text/jinja/operators.h"

namespace nemotron::jinja {

Loop::Loop(Heap& heap, const Value& items, const For* s, Value c, int64_t d)
    : Object(heap, Kind::loop, sizeof(*this)),
      statement(s),
      closure(std::move(c)),
      depth0(d),
      items_(items),
      iterator_(iterate(heap, items)) {}

void Loop::clear() { closure = items_ = iterator_ = current_ = before_ = after_ = last_changed_ = Value(); }

bool Loop::next(Value& item) {
  if (has_after_) {
    item = std::move(after_);
    has_after_ = false;
  } else if (ended_ || !iterator_.as<Iterator>().next(item)) {
    ended_ = true;
    return false;
  }
  ++index0;
  before_ = std::move(current_);
  current_ = item;
  return true;
}

bool Loop::peek() {
  if (has_after_) return true;
  if (ended_ || !iterator_.as<Iterator>().next(after_)) {
    ended_ = true;
    return false;
  }
  return has_after_ = true;
}

size_t Loop::length() {
  if (length_ >= 0) return static_cast<size_t>(length_);
  if (has_length(items_)) {
    length_ = static_cast<int64_t>(length_of(items_));
  } else {
    std::vector<Value> rest;
    if (!ended_) rest = to_vector(heap(), iterator_);
    length_ = static_cast<int64_t>(rest.size()) + index() + has_after_;
    iterator_ = iterate(heap(), make_list(heap(), std::move(rest)));
  }
  return static_cast<size_t>(length_);
}

bool Loop::is_last() { return !peek(); }

Value Loop::previous_item() const {
  return index0 == 0 ? make_undefined(heap(), "there is no previous item") : before_;
}

Value Loop::next_item() { return peek() ? after_ : make_undefined(heap(), "there is no next item"); }

bool Loop::changed(Value value) {
  if (!last_changed_.is_missing() && equal(last_changed_, value)) return false;
  last_changed_ = std::move(value);
  return true;
}

}  // namespace nemotron::jinja
