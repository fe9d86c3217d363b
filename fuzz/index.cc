// Fuzzes model.safetensors.index.json beside two shards that are sound.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "folder.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nemotron;
  static const FuzzFolder folder;
  static const bool ready = [] {
    const float x[2] = {1, 1};
    write_safetensors(folder.path() / "one",
                      std::vector<TensorData>{{"a", Dtype::f32, {1}, x}, {"b", Dtype::f32, {1}, x}});
    write_safetensors(folder.path() / "two", std::vector<TensorData>{{"c", Dtype::f32, {2}, x}});
    return true;
  }();
  static_cast<void>(ready);
  folder.write("model.safetensors.index.json", data, size);
  try {
    std::vector<std::string> warnings;
    const Safetensors files = Safetensors::open_folder(folder.path(), warnings);
    for (const Tensor& t : files.tensors())
      if (files.find(t.name) != &t || files.data(t)[3] != 0x3F) abort();  // the top byte of 1.0f
  } catch (const Error&) {
  }
  return 0;
}
