// ReadAhead: sorted, joined, and asked for in pieces that the system reads whole.

#include "base/read_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace nemotron {

ReadAhead::ReadAhead(std::span<const Bytes> mapped, std::vector<Bytes> common, bool keep) {
  const auto advise = [&](std::span<const Bytes> ranges, int advice) {
    for (const Bytes& bytes : ranges) add(bytes);
    for (const Range& r : take_joined()) madvise(reinterpret_cast<void*>(r.begin), r.end - r.begin, advice);
  };
  advise(mapped, MADV_RANDOM);
  advise(common, MADV_NORMAL);
  if (keep) keep_.emplace(std::move(common));
}

void ReadAhead::add(Bytes bytes) {
  if (bytes.empty()) return;
  static const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data()), end = begin + bytes.size();
  ranges_.push_back({begin / page * page, (end + page - 1) / page * page});
}

// What was added, in whole pages, ascending; neighbours are one.
std::vector<ReadAhead::Range> ReadAhead::take_joined() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> out;
  for (const Range& r : ranges_) {
    if (!out.empty() && r.begin <= out.back().end)
      out.back().end = std::max(out.back().end, r.end);
    else
      out.push_back(r);
  }
  ranges_.clear();
  return out;
}

void ReadAhead::ask() {
  for (const Range& r : take_joined()) {
    asked_ += r.end - r.begin;
    begin_reading(r.begin, r.end);
  }
}

}  // namespace nemotron
