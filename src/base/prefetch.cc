// Prefetch: one madvise after another, in pieces small enough to stop between.

#include "base/prefetch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace nemotron {
namespace {

constexpr size_t kPiece = size_t{4} << 20;
constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ of Linux 5.14, which older headers lack

uintptr_t page_size() {
  static const auto size = uintptr_t(sysconf(_SC_PAGESIZE));
  return size;
}

// False where there is no use in going on. A file that has been cut short is an error here, and no SIGBUS.
bool populate(uintptr_t begin, uintptr_t end) {
  for (;;) {
    if (madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateRead) == 0) return true;
    if (errno != EINTR && errno != EAGAIN) return false;
  }
}

}  // namespace

void begin_reading(uintptr_t begin, uintptr_t end) {
  // Linux reads no more for one call than the device's read-ahead, 128 KiB unless somebody raised it.
  constexpr uintptr_t kCall = 128 << 10;
  for (uintptr_t at = begin; at < end; at += kCall)
    madvise(reinterpret_cast<void*>(at), std::min(kCall, end - at), MADV_WILLNEED);
}

// Pages that are populated one after another are read one after another, and so much of the file around each as the
// device is set to. Asked for a piece ahead they are read together, and nothing else is.
Prefetch::Prefetch(std::vector<std::span<const uint8_t>> ranges)
    : thread_([this, ranges = std::move(ranges)] {
        for (const auto& range : ranges) {
          const auto first = reinterpret_cast<uintptr_t>(range.data()), begin = first / page_size() * page_size(),
                     end = first + range.size();
          begin_reading(begin, std::min(begin + kPiece, end));
          for (uintptr_t at = begin; at < end; at += kPiece) {
            const uintptr_t next = std::min(at + kPiece, end);
            begin_reading(next, std::min(next + kPiece, end));
            if (stop_ || !populate(at, next)) return;
          }
        }
        done_ = true;
      }) {}

Prefetch::~Prefetch() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace nemotron
