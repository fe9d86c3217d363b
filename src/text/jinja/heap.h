// Where the values of one rendering live: reference counts, and the limits on memory and work.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nemotron::jinja {

// One unit of work is about 40 ns: an expression evaluated, 64 bytes copied, 8 characters looked at.
struct Limits {
  uint64_t work = 20'000'000;
  size_t memory = size_t{256} << 20;  // bytes held by values and unfinished output
  int depth = 1500;                   // nested evaluations
  int calls = 180;                    // nested calls of macros and recursive loops
};

enum class Kind : uint8_t {
  missing,  // an unset variable or argument; never seen by a template
  none,
  boolean,
  integer,
  real,
  // What follows is kept by reference.
  big_integer,
  string,
  list,
  tuple,
  dict,
  view,
  range,
  iterator,
  undefined,
  function,
  method,
  macro,
  name_space,
  loop,
  cycler,
  joiner,
  activation,
};

class Heap;

// A value kept by reference. Counts are plain integers: a rendering belongs to one thread.
class Object {
 public:
  Object(Heap& heap, Kind kind, size_t bytes);
  virtual ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // Lets go of every value held: cycles are ended so. A class that holds values must override it.
  virtual void clear() {}

  Heap& heap() const { return heap_; }

  const Kind kind;

 private:
  friend class Heap;
  friend class Value;
  uint32_t references_ = 0;
  size_t bytes_;  // counted against Limits::memory
  Heap& heap_;
  Object* previous_ = nullptr;
  Object* next_ = nullptr;
};

class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const Limits& limits() const { return limits_; }

  // Counts work; throws Failure when there was too much.
  void work(uint64_t units) {
    work_ += units;
    if (work_ > limits_.work) too_much_work();
  }
  void copies(size_t bytes) { work(1 + bytes / 64); }
  void scans(size_t bytes) { work(1 + bytes / 8); }

  // Throws Failure unless that many bytes could be taken now; called before anything that multiplies sizes is built.
  void allow(size_t bytes) const {
    if (bytes > limits_.memory || memory_ > limits_.memory - bytes) too_much_memory();
  }
  void take(size_t bytes) {
    allow(bytes);
    memory_ += bytes;
    copies(bytes);
  }
  void give_back(size_t bytes) { memory_ -= bytes; }

  // One more level of nested evaluation, until leave(); throws Failure where there are too many.
  void enter() {
    if (depth_ >= limits_.depth) too_deep();
    ++depth_;
  }
  void leave() { --depth_; }

 private:
  friend class Object;
  friend class Value;
  [[noreturn]] void too_much_work() const;
  [[noreturn]] void too_much_memory() const;
  [[noreturn]] void too_deep() const;
  void reclaim(Object* object);

  const Limits limits_;
  uint64_t work_ = 0;
  size_t memory_ = 0;
  int depth_ = 0;
  Object* first_ = nullptr;
  std::vector<Object*> dead_;  // a list, so that a long chain of values dies without recursion
  bool reclaiming_ = false;
};

// A level of nested evaluation for the length of a block.
class Depth {
 public:
  explicit Depth(Heap& heap) : heap_(heap) { heap_.enter(); }
  ~Depth() { heap_.leave(); }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Heap& heap_;
};

}  // namespace nemotron::jinja
