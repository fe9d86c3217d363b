// What the interpreter holds for the length of a block: captured output, and a frame of variables.

#pragma once

#include "text/jinja/failure.h"
#include "text/jinja/interpreter.h"

namespace nemotron::jinja {

// Output goes here until finish() or the end of the block.
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& in) : in_(in), outer_(in.out_) { in.out_ = &text_; }
  ~Capture() { close(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string finish() {
    close();
    return std::move(text_);
  }

 private:
  void close() {
    if (!outer_) return;
    in_.heap_.give_back(text_.size());
    in_.out_ = outer_;
    outer_ = nullptr;
  }
  Interpreter& in_;
  std::string* outer_;
  std::string text_;
};

// A call: variables of its own.
class Interpreter::Frame {
 public:
  Frame(Interpreter& in, size_t slots, const Value& closure) : in_(in), outer_(in.frame_) {
    if (in_.calls_ >= in_.heap_.limits().calls) fail_value("maximum recursion depth exceeded");
    in_.frame_ = Value(new Activation(in_.heap_, slots, closure));
    ++in_.calls_;
  }
  ~Frame() {
    --in_.calls_;
    in_.frame_ = std::move(outer_);
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 private:
  Interpreter& in_;
  Value outer_;
};

}  // namespace nemotron::jinja
