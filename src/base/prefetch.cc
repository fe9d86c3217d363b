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

// False where there is no use in going on. A file that has been cut short is an error here, and no SIGBUS.
bool populate(const uint8_t* data, size_t size) {
  const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t start = reinterpret_cast<uintptr_t>(data) / page * page;
  const size_t length = reinterpret_cast<uintptr_t>(data) + size - start;
  for (;;) {
    if (madvise(reinterpret_cast<void*>(start), length, kPopulateRead) == 0) return true;
    if (errno != EINTR && errno != EAGAIN) return false;
  }
}

}  // namespace

Prefetch::Prefetch(std::vector<std::span<const uint8_t>> ranges)
    : thread_([this, ranges = std::move(ranges)] {
        for (const auto& range : ranges)
          for (size_t at = 0; at < range.size(); at += kPiece)
            if (stop_ || !populate(range.data() + at, std::min(kPiece, range.size() - at))) return;
      }) {}

Prefetch::~Prefetch() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace nemotron
