// Fuzzes the header of a safetensors file: whatever opens has tensors that lie in the file, one after the other.

#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "folder.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  static const FuzzFolder folder;
  const auto path = folder.write("fuzz.safetensors", data, size);
  try {
    const Safetensors file = Safetensors::open(path);
    uint64_t end = size - file.total_bytes();
    for (const Tensor& t : file.tensors()) {
      if (t.offset != end || file.find(t.name) != &t) abort();
      end += t.bytes;
      volatile uint8_t touched = 0;
      for (uint64_t i = 0; i < t.bytes; ++i) touched = file.data(t)[i];
      static_cast<void>(touched);
    }
    if (end != size) abort();
  } catch (const Error&) {
  }
  return 0;
}
