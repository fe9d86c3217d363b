// The `loop` of a for statement: an iteration that knows its position and looks one item ahead when asked.

#pragma once

#include "text/jinja/value.h"

namespace nemotron::jinja {

struct For;

struct Loop : Object {
  // `items` is what is iterated; a `recursive` loop can be called again from inside, in the scope `closure`.
  Loop(Heap& heap, const Value& items, const For* statement, Value closure, int64_t depth0);
  void clear() override;

  bool next(Value& item);  // moves on; false at the end
  size_t length();         // reads the rest of an iteration without one
  bool is_last();
  int64_t index() const { return index0 + 1; }
  Value previous_item() const;
  Value next_item();
  bool changed(Value value);

  const For* const statement;
  Value closure;
  const int64_t depth0;
  int64_t index0 = -1;

 private:
  bool peek();

  Value items_, iterator_;
  Value current_, before_, after_, last_changed_;
  bool has_after_ = false, ended_ = false;
  int64_t length_ = -1;
};

}  // namespace nemotron::jinja
