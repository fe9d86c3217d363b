// Brings mapped files into memory in the background, so that computing does not wait for pages one by one.

#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

namespace nemotron {

// Asks the system to begin reading mapped pages begin .. end that are not in memory, and does not wait for them. Only a
// hint: where it fails the pages come when they are touched.
void begin_reading(uintptr_t begin, uintptr_t end);

class Prefetch {
 public:
  Prefetch() = default;
  // Starts at once; the ranges stay mapped for the life of the object. It reads from the start of each range to its
  // end.
  explicit Prefetch(std::vector<std::span<const uint8_t>> ranges);
  ~Prefetch();  // stops early, within milliseconds of a warm page cache and one read of a cold one
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  bool done() const { return done_; }  // all pages are in memory

 private:
  std::atomic<bool> stop_{false}, done_{false};
  std::thread thread_;
};

}  // namespace nemotron
