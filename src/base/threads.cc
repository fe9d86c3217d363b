// Threads: one atomic word is the door to a loop, another hands out its pieces, a third counts who is through.

#include "base/threads.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/cgroup.h"
#include "base/error.h"

namespace nemotron {
namespace {

// About 20 microseconds: longer than the gap between two ops of a decode step, shorter than a scheduler's tick.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `value` is no longer `old`: spins first, then sleeps.
template <class T>
void await_change(const std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

// The bits of the door, from the top: the loop's number, shut, workers inside.
constexpr uint32_t kShut = 1u << 11, kNextLoop = kShut << 1;
static_assert(Threads::kMost < int(kShut));

Threads::Threads(int count) : door_(kShut) {
  if (count < 1 || count > kMost) {
    throw Error({.what = "number of threads out of range",
                 .where = "--threads",
                 .expected = "1 to " + std::to_string(kMost),
                 .found = std::to_string(count)});
  }
  workers_.reserve(size_t(count - 1));
  for (int i = 1; i < count; ++i) {
    workers_.emplace_back([this, i] { work(i); });
    release_thread(workers_.back().native_handle());
  }
}

Threads::~Threads() {
  stop_.store(true, std::memory_order_relaxed);
  door_.fetch_add(kNextLoop, std::memory_order_release);
  door_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int Threads::physical_cores() {
  const size_t cores = first_cpus_of_cores().size();
  const double allowed = std::min(double(kMost), control_groups().cpus);
  return std::max(1, int(std::min(cores ? double(cores) : double(std::thread::hardware_concurrency()), allowed)));
}

void Threads::check_cpus(std::span<const int> cpus, int count) {
  if (cpus.empty() || int64_t(cpus.size()) >= count) return;
  throw Error({.what = "fewer CPUs than threads",
               .where = "--affinity",
               .expected = "at least " + std::to_string(count) + " CPUs",
               .found = std::to_string(cpus.size()),
               .hint = "--threads sets the number of threads"});
}

void Threads::bind(std::span<const int> cpus) {
  check_cpus(cpus, count());
  if (cpus.empty()) return;
  for (size_t i = 0; i < workers_.size(); ++i) bind_thread(workers_[i].native_handle(), cpus[i + 1]);
  caller_.reset();  // first, so that what is restored at the end is what was there at the beginning
  caller_.emplace(cpus[0]);
}

void Threads::run(int64_t n, int64_t grain, Loop body) {
  if (n <= 0) return;
  n_ = n;
  grain_ = std::max<int64_t>(grain, 1);
  body_ = body;
  next_.store(0, std::memory_order_relaxed);
  if (workers_.empty() || n_ <= grain_) {
    for (int64_t begin = 0; begin < n_; begin += grain_) body(begin, std::min(begin + grain_, n_), 0);
    return;
  }
  left_.store(0, std::memory_order_relaxed);
  // Open: the next loop's number, nobody inside. The release makes the loop's fields visible to whoever enters.
  door_.store((door_.load(std::memory_order_relaxed) & ~(kNextLoop - 1)) + kNextLoop, std::memory_order_release);
  door_.notify_all();
  take_pieces(0);
  const uint32_t inside = door_.fetch_or(kShut, std::memory_order_acq_rel) & (kShut - 1);
  for (uint32_t left = left_.load(std::memory_order_acquire); left != inside;
       left = left_.load(std::memory_order_acquire))
    await_change(left_, left);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Threads::work(int thread) {
  uint32_t done = 0;  // number of the last loop this worker took part in
  for (;;) {
    uint32_t door = door_.load(std::memory_order_acquire);
    // After the door: who has seen it moved by the destructor sees this too, and who has not wakes up when it moves.
    if (stop_.load(std::memory_order_relaxed)) return;
    if ((door & kShut) || door / kNextLoop == done) {
      await_change(door_, door);
      continue;
    }
    if (!door_.compare_exchange_weak(door, door + 1, std::memory_order_acq_rel)) continue;
    done = door / kNextLoop;
    take_pieces(thread);
    left_.fetch_add(1, std::memory_order_release);
    left_.notify_all();
  }
}

void Threads::take_pieces(int thread) {
  try {
    for (;;) {
      const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
      if (begin >= n_) return;
      body_(begin, std::min(begin + grain_, n_), thread);
    }
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace nemotron
