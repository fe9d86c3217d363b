// Reads mapped files ahead of their use, for weights that do not all fit in memory.
//
// A page that is touched before it is there costs one read, the next one is asked for only after it has come, and what
// lies around it is read too: 128 KiB, or megabytes where the device is set to that. Asking for all that a layer is
// going to touch lets the disk see all reads at once, and reads nothing else.
//
// Nothing here can get a process killed: the pages belong to files and are clean, so the system drops those that were
// not used for longest whenever memory, or a control group's share of it, runs out, and reads them again when touched.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/prefetch.h"

namespace nemotron {

class ReadAhead {
 public:
  using Bytes = std::span<const uint8_t>;

  ReadAhead() = default;  // nothing is brought in by itself
  // `mapped` are whole mappings, for the life of the object: what is touched there without having been asked for comes
  // page by page from now on, but for `common`, which is what every step touches. Where memory holds all of that
  // (`keep`) a thread brings it in, and once it is through nobody needs to ask for it.
  ReadAhead(std::span<const Bytes> mapped, std::vector<Bytes> common, bool keep);

  bool wants_common() const { return !keep_ || !keep_->done(); }

  void add(Bytes bytes);  // to what the next call of `ask` asks for
  // Asks the system to begin reading whatever of it is not in memory, each page once, and returns without waiting for
  // it. Neighbouring ranges are joined; only pages that hold some of the bytes are asked for.
  void ask();

  // Bytes that are asked for together where there is more than that to be read and used, part by part: the disk reads
  // one part while another is used, and what it reads is used long before it is dropped, however little memory there
  // is.
  uint64_t at_once = uint64_t{64} << 20;

  uint64_t asked() const { return asked_; }  // bytes of pages, over the life of the object

 private:
  struct Range {
    uintptr_t begin, end;
  };
  std::vector<Range> take_joined();

  std::vector<Range> ranges_;
  uint64_t asked_ = 0;
  std::optional<Prefetch> keep_;
};

}  // namespace nemotron
