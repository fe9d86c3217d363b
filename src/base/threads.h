// A fork-join pool: short parallel loops with dynamic chunks, workers that spin briefly and then sleep.

#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace nemotron {

class Threads {
 public:
  // `count` threads in all, the caller's included; 1 runs every loop in place. Throws Error outside 1..kMost.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  static constexpr int kMost = 1024;
  static int physical_cores();  // those this process may run on; at least 1

  int count() const { return int(workers_.size()) + 1; }

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
