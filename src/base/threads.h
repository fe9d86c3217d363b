// A fork-join pool: short parallel loops with dynamic chunks, workers that spin briefly and then sleep.

#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/affinity.h"

namespace nemotron {

class Threads {
 public:
  // `count` threads in all, the caller's included; 1 runs every loop in place. Throws Error outside 1..kMost.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  static constexpr int kMost = 1024;
  // The cores this process may run on, but no more than its control groups' share of the machine's time, whole
  // processors counted: more threads would all be held up together when it is used up. At least 1.
  static int physical_cores();

  int count() const { return int(workers_.size()) + 1; }

  // Binds thread i to cpus[i] for the life of the object, the caller's own thread to the first. Further CPUs are not
  // used; none at all: nothing is bound. Throws Error for fewer CPUs than threads. Threads that the caller starts
  // otherwise from then on are bound like it, until they call release_thread; those of another Threads are not.
  void bind(std::span<const int> cpus);
  static void check_cpus(std::span<const int> cpus, int count);  // throws what `bind` would for `count` threads

  // Calls body(begin, end, thread) for pieces of at most `grain` that cover 0..n once each; thread is in 0..count()-1.
  // Which thread takes which piece varies, so results must not depend on it. Pieces are handed out as threads become
  // free, so that a core that somebody else keeps busy delays only its own piece. Returns when all are done; the first
  // exception thrown in a body is rethrown here. One loop at a time: not reentrant, and called by one thread only.
  template <class Body>
  void parallel(int64_t n, int64_t grain, const Body& body) {
    run(n, grain, {&body, [](const void* of, int64_t begin, int64_t end, int thread) {
                     (*static_cast<const Body*>(of))(begin, end, thread);
                   }});
  }

 private:
  // A loop's body without the memory that a std::function may take: a decode step runs hundreds of loops.
  struct Loop {
    const void* of = nullptr;
    void (*call)(const void*, int64_t begin, int64_t end, int thread) = nullptr;
    void operator()(int64_t begin, int64_t end, int thread) const { call(of, begin, end, thread); }
  };
  void run(int64_t n, int64_t grain, Loop body);
  void work(int thread);
  void take_pieces(int thread);

  std::vector<std::thread> workers_;
  std::optional<BoundCaller> caller_;
  // The door to a loop: its number, whether it is shut, and how many workers came in. The caller shuts it when no piece
  // is left and waits only for those inside: a worker that the system has not woken by then is not waited for.
  std::atomic<uint32_t> door_;
  std::atomic<uint32_t> left_{0};  // workers that came in and are through
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> next_{0};  // first index that nobody has taken
  int64_t n_ = 0, grain_ = 1;
  Loop body_;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

}  // namespace nemotron
