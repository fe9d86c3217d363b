// The safetensors container: what is written reads back, and every fault of a file or an index is named.

#include "io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "folders.h"

namespace nemotron {
namespace {

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, what_is_written_reads_back) {
  const TemporaryFolder folder;
  const std::vector<float> numbers = {1, -2, 3.5f, 0, 1e-30f, 7};
  const double one = 0.1;
  const std::vector<uint8_t> bytes = {1, 2, 3};
  const std::vector<int32_t> ids = {-1, 5};
  write_safetensors(folder / "a.safetensors",
                    std::vector<TensorData>{{"b\"\n€", Dtype::f32, {2, 3}, numbers.data()},
                                            {"scalar", Dtype::f64, {}, &one},
                                            {"bytes", Dtype::u8, {3}, bytes.data()},
                                            {"none", Dtype::bf16, {0, 4}, nullptr},
                                            {"ids", Dtype::i32, {2, 1}, ids.data()},
                                            {"fp8", Dtype::f8_e4m3, {3}, bytes.data()}},
                    {{"format", "pt"}, {"who", "a \"test\""}});
  const Safetensors file = Safetensors::open(folder / "a.safetensors");
  ASSERT_EQ(file.tensors().size(), 6u);
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}, {"who", "a \"test\""}}));
  const Tensor* t = file.find("b\"\n€");
  ASSERT_TRUE(t);
  EXPECT_EQ(t->shape, (Shape{2, 3}));
  EXPECT_EQ(t->offset % 8, 0u);
  EXPECT_EQ(std::memcmp(file.data(*t), numbers.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file.data(*file.find("scalar")), &one, 8), 0);
  EXPECT_EQ(std::memcmp(file.data(*file.find("ids")), ids.data(), 8), 0);
  EXPECT_EQ(file.find("none")->bytes, 0u);
  EXPECT_EQ(file.find("fp8")->dtype, Dtype::f8_e4m3);
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_EQ(file.total_bytes(), 24u + 8 + 3 + 8 + 3);
}

TEST(Safetensors, every_dtype_keeps_its_name_and_size) {
  for (const auto& [name, size] : {std::pair<const char*, size_t>{"BOOL", 1},
                                   {"U8", 1},
                                   {"I8", 1},
                                   {"F8_E5M2", 1},
                                   {"F8_E4M3", 1},
                                   {"F8_E8M0", 1},
                                   {"U16", 2},
                                   {"I16", 2},
                                   {"F16", 2},
                                   {"BF16", 2},
                                   {"U32", 4},
                                   {"I32", 4},
                                   {"F32", 4},
                                   {"U64", 8},
                                   {"I64", 8},
                                   {"F64", 8},
                                   {"C64", 8}}) {
    const auto dtype = find_dtype(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_STREQ(dtype_name(*dtype), name);
    EXPECT_EQ(dtype_size(*dtype), size) << name;
  }
}

TEST(Safetensors, a_failed_write_is_an_error_and_leaves_nothing) {
  const TemporaryFolder folder;
  const float x = 1;
  const std::vector<TensorData> tensors = {{"x", Dtype::f32, {1}, &x}};
  expect_parts(error_of([&] { write_safetensors(folder / "absent" / "a", tensors); }), {"absent/a", "cannot create"});
  expect_parts(error_of([&] { write_safetensors(folder.path(), tensors); }), {"a directory"});
  expect_parts(error_of([&] { write_safetensors("/dev/full", tensors); }), {"/dev/full", "No space left"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(Safetensors, a_written_file_replaces_the_old_one_whole) {
  const TemporaryFolder folder;
  const float x = 1, y = 2;
  write_safetensors(folder / "a", std::vector<TensorData>{{"x", Dtype::f32, {1}, &x}});
  std::filesystem::create_symlink("a", folder / "link");
  const Safetensors old = Safetensors::open(folder / "a");
  write_safetensors(folder / "link", std::vector<TensorData>{{"y", Dtype::f32, {1}, &y}});
  EXPECT_EQ(*old.data(old.tensors()[0]), *reinterpret_cast<const uint8_t*>(&x));  // whoever mapped the old one keeps it
  EXPECT_TRUE(Safetensors::open(folder / "a").find("y"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

struct Fault {
  const char* what;
  std::string header;
  uint64_t data_bytes;
  std::vector<std::string> parts;
};

TEST(Safetensors, each_fault_of_a_header_is_named) {
  const std::string x = entry("x", "F32", "[2]", "[0,8]"), huge = "9223372036854775807";
  const std::vector<Fault> faults = {
      {"no JSON", "hello", 0, {"bad.safetensors: header", "malformed JSON"}},
      {"empty header", "", 0, {"malformed JSON"}},
      {"no object", "[1,2]", 0, {"malformed JSON"}},
      {"text after the object", "{} {}", 0, {"malformed JSON"}},
      {"not UTF-8", "{\"a\xff\":1}", 0, {"malformed JSON"}},
      {"overlap",
       "{" + x + "," + entry("y", "F32", "[2]", "[4,12]") + "}",
       12,
       {"tensor 'y'", "overlaps tensor 'x'", "byte 8", "byte 4"}},
      {"same place twice", "{" + x + "," + entry("y", "F32", "[2]", "[0,8]") + "}", 8, {"overlaps tensor"}},
      {"hole",
       "{" + x + "," + entry("y", "F32", "[2]", "[12,20]") + "}",
       20,
       {"tensor 'y'", "hole", "byte 8", "byte 12"}},
      {"hole at the start", "{" + entry("y", "F32", "[2]", "[4,12]") + "}", 12, {"tensor 'y'", "hole"}},
      {"bytes at the end", "{" + x + "}", 9, {"after the last tensor", "8 bytes", "9 bytes"}},
      {"no tensors but data", "{}", 4, {"after the last tensor"}},
      {"cut file",
       "{" + x + "}",
       7,
       {"tensor 'x'", "beyond the end of the file", "8 bytes", "7 bytes", "fetch it again"}},
      {"offset far outside",
       "{" +
           entry("x", "U8", "[1]", "[" + std::to_string((1ull << 62)) + "," + std::to_string((1ull << 62) + 1) + "]") +
           "}",
       1,
       {"tensor 'x'", "beyond the end"}},
      {"backwards",
       "{" + entry("x", "F32", "[0]", "[8,0]") + "}",
       8,
       {"tensor 'x'", "data_offsets", "begin <= end", "[8, 0]"}},
      {"three offsets", "{" + entry("x", "F32", "[2]", "[0,8,9]") + "}", 8, {"tensor 'x'", "data_offsets"}},
      {"one offset", "{" + entry("x", "F32", "[2]", "[8]") + "}", 8, {"tensor 'x'", "data_offsets"}},
      {"negative offset", "{" + entry("x", "F32", "[2]", "[-8,0]") + "}", 8, {"tensor 'x'", "data_offsets", "-8"}},
      {"offset above 2^64", "{" + entry("x", "F32", "[2]", "[0,18446744073709551624]") + "}", 8, {"bad.safetensors"}},
      {"offset above 2^63",
       "{" + entry("x", "F32", "[2]", "[0,9223372036854775808]") + "}",
       8,
       {"tensor 'x'", "data_offsets"}},
      {"offset no integer", "{" + entry("x", "F32", "[2]", "[0,8.0]") + "}", 8, {"tensor 'x'", "data_offsets", "8.0"}},
      {"shape overflows",
       "{" + entry("x", "F32", "[" + huge + "," + huge + "]", "[0,4]") + "}",
       4,
       {"tensor 'x'", "overflows", huge}},
      {"shape wraps to the size",
       "{" + entry("x", "F32", "[4611686018427387904,4,1]", "[0,0]") + "}",
       0,
       {"tensor 'x'", "overflows"}},
      {"size differs",
       "{" + entry("x", "F32", "[3]", "[0,8]") + "}",
       8,
       {"tensor 'x'", "12 bytes for F32 [3]", "8 bytes"}},
      {"negative size", "{" + entry("x", "F32", "[-2]", "[0,8]") + "}", 8, {"tensor 'x'", "shape", "-2"}},
      {"shape no list", "{" + entry("x", "F32", "2", "[0,8]") + "}", 8, {"tensor 'x'", "shape"}},
      {"nine dimensions", "{" + entry("x", "F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") + "}", 8, {"tensor 'x'", "shape"}},
      {"unknown dtype",
       "{" + entry("x", "F4_E2M1", "[2]", "[0,8]") + "}",
       8,
       {"tensor 'x'", "unknown dtype", "F4_E2M1"}},
      {"dtype no string", "{\"x\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, {"tensor 'x'", "dtype"}},
      {"dtype missing", "{\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, {"tensor 'x'", "'dtype' is missing"}},
      {"shape twice",
       "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}",
       8,
       {"tensor 'x'", "'shape' is given twice"}},
      {"entry no object", "{\"x\":7}", 0, {"tensor 'x'", "an object"}},
      {"duplicate name at one place", "{" + x + "," + x + "}", 8, {"tensor 'x'", "given to two tensors"}},
      {"duplicate name",
       "{" + x + "," + entry("x", "F32", "[1]", "[8,12]") + "}",
       12,
       {"tensor 'x'", "given to two tensors"}},
      {"metadata no strings", "{\"__metadata__\":{\"a\":1}," + x + "}", 8, {"__metadata__"}},
      {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}," + x + "}", 8, {"__metadata__", "twice"}},
      {"nested 100,000 deep",
       "{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}",
       0,
       {"nested deeper"}},
  };
  const TemporaryFolder folder;
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.what);
    write_raw_safetensors(folder / "bad.safetensors", fault.header, fault.data_bytes);
    const std::string message = error_of([&] { Safetensors::open(folder / "bad.safetensors"); });
    expect_parts(message, fault.parts);
    expect_parts(message, {"bad.safetensors"});
  }
}

TEST(Safetensors, a_cut_or_absurd_header_length_is_named) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& bytes) {
    write_text(folder / "bad.safetensors", bytes);
    return error_of([&] { Safetensors::open(folder / "bad.safetensors"); });
  };
  const auto with_length = [](uint64_t n, const std::string& rest) {
    return std::string(reinterpret_cast<const char*>(&n), 8) + rest;
  };
  expect_parts(message(""), {"bad.safetensors", "at least 8 bytes", "0 bytes"});
  expect_parts(message("1234567"), {"at least 8 bytes", "7 bytes"});
  expect_parts(message(with_length(uint64_t{1} << 60, "{}")), {"header is too long", "1152921504606846976"});
  expect_parts(message(with_length(~uint64_t{0}, "{}")), {"header is too long"});
  expect_parts(message(with_length(50, "{\"x\"")), {"header is cut short", "50 bytes", "4 bytes"});
  EXPECT_EQ(message(with_length(2, "{}")), "");
}

TEST(Safetensors, what_is_no_regular_file_is_refused_without_waiting) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_parts(error_of([&] { Safetensors::open(folder / "pipe"); }), {"pipe", "a regular file"});
  expect_parts(error_of([&] { Safetensors::open(folder.path()); }), {"a directory"});
  expect_parts(error_of([&] { Safetensors::open(folder / "absent"); }), {"absent", "cannot open"});
}

TEST(Safetensors, opening_touches_no_data) {
  const TemporaryFolder folder;
  const uint64_t bytes = uint64_t{1} << 40;  // far more than any memory
  write_raw_safetensors(
      folder / "a",
      "{" + entry("x", "U8", "[" + std::to_string(bytes) + "]", "[0," + std::to_string(bytes) + "]") + "}", bytes);
  const Safetensors file = Safetensors::open(folder / "a");
  const uint8_t* data = file.data(file.tensors()[0]);
  const auto page = reinterpret_cast<uintptr_t>(data) / 4096 * 4096 + 4096;
  std::vector<unsigned char> resident(1 << 20);
  ASSERT_EQ(mincore(reinterpret_cast<void*>(page), resident.size() * 4096, resident.data()), 0);
  EXPECT_EQ(std::count(resident.begin(), resident.end(), 0), ptrdiff_t(resident.size()));
}

TEST(Safetensors, as_many_tensors_as_the_largest_release_are_found) {
  const TemporaryFolder folder;
  std::string header = "{";
  constexpr int kCount = 165860;
  for (int i = 0; i < kCount; ++i) {
    const std::string at = std::to_string(i);
    header += (i ? "," : "") + entry("backbone.layers.1.mixer.experts." + at + ".up_proj.weight", "U8", "[1]",
                                     "[" + at + "," + std::to_string(i + 1) + "]");
  }
  write_raw_safetensors(folder / "a", header + "}", kCount);
  const Safetensors file = Safetensors::open(folder / "a");
  ASSERT_EQ(file.tensors().size(), size_t(kCount));
  for (int i = 0; i < kCount; i += 997) {
    const Tensor* t = file.find("backbone.layers.1.mixer.experts." + std::to_string(i) + ".up_proj.weight");
    ASSERT_TRUE(t);
    EXPECT_EQ(t - file.tensors().data(), i);
  }
}

// ---- sharded folders ----

class Shards : public testing::Test {
 protected:
  Shards() {
    const float numbers[2] = {1, 2};
    write_safetensors(folder / "one.safetensors",
                      std::vector<TensorData>{{"a", Dtype::f32, {1}, numbers}, {"b", Dtype::f32, {1}, numbers + 1}});
    write_safetensors(folder / "two.safetensors", std::vector<TensorData>{{"c", Dtype::f32, {2}, numbers}});
  }
  std::string open(const std::string& index) {
    write_text(folder / "model.safetensors.index.json", index);
    return error_of([&] { Safetensors::open_folder(folder.path(), warnings); });
  }
  static std::string index(const std::string& map) {
    return "{\"metadata\":{\"total_size\":16},\"weight_map\":{" + map + "}}";
  }
  const std::string good = R"("c":"two.safetensors","a":"one.safetensors","b":"one.safetensors")";
  TemporaryFolder folder;
  std::vector<std::string> warnings;
};

TEST_F(Shards, are_one_index) {
  ASSERT_EQ(open(index(good)), "");
  const Safetensors files = Safetensors::open_folder(folder.path(), warnings);
  EXPECT_EQ(files.tensors().size(), 3u);
  EXPECT_EQ(files.total_bytes(), 16u);
  EXPECT_EQ(files.files().size(), 2u);
  EXPECT_EQ(files.where(*files.find("c")), (folder / "two.safetensors").string() + ": tensor 'c'");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(Shards, each_disagreement_with_the_index_is_named) {
  expect_parts(open(index(good + R"(,"d":"three.safetensors")")),
               {"index.json", "1 of 3 shards is missing", "three.safetensors"});
  expect_parts(open(index(good + R"(,"d":"two.safetensors")")),
               {"tensor 'd'", "not where the index says", "two.safetensors"});
  expect_parts(open(index(R"("c":"one.safetensors","a":"one.safetensors","b":"two.safetensors")")),
               {"tensor 'c'", "expected one.safetensors, found two.safetensors"});
  expect_parts(open(index(R"("c":"two.safetensors","a":"one.safetensors")")),
               {"one.safetensors", "tensor 'b'", "does not list"});
  expect_parts(open(index(good + R"(,"a":"one.safetensors")")), {"tensor 'a'", "listed twice"});
}

TEST_F(Shards, a_malformed_index_is_named) {
  expect_parts(open("{"), {"index.json", "malformed JSON"});
  expect_parts(open("{}"), {"index.json", "'weight_map' is missing"});
  expect_parts(open(R"({"weight_map":[]})"), {"weight_map", "an object"});
  for (const char* name : {"\"\"", "\"../one.safetensors\"", "\"/etc/passwd\"", "\"..\"", "7", "null", "\"a\\u0000b\""})
    expect_parts(open(index(std::string("\"a\":") + name)), {"index.json", "bad shard of tensor 'a'", "same folder"});
  expect_parts(open(index("\"a\":\"" + std::string(5000, 'z') + "\"")), {"index.json", "1 of 1 shards is missing"});
  expect_parts(open("{\"weight_map\":" + std::string(100000, '[')), {"index.json"});
  expect_parts(open(std::string(100000, '[') + std::string(100000, ']')), {"nested deeper"});
}

TEST_F(Shards, a_name_in_two_shards_is_named) {
  const float x = 1;
  write_safetensors(folder / "two.safetensors",
                    std::vector<TensorData>{{"a", Dtype::f32, {1}, &x}, {"c", Dtype::f32, {1}, &x}});
  expect_parts(open(index(good)), {"tensor 'a'", "given to two tensors", "safetensors"});
}

TEST_F(Shards, two_sets_of_weights_are_refused) {
  const float x = 1;
  write_safetensors(folder / "model.safetensors", std::vector<TensorData>{{"a", Dtype::f32, {1}, &x}});
  expect_parts(open(index(good)), {"two sets of weights", "both"});
}

TEST_F(Shards, a_wrong_total_is_a_warning) {
  EXPECT_EQ(open("{\"metadata\":{\"total_size\":17},\"weight_map\":{" + good + "}}"), "");
  ASSERT_EQ(warnings.size(), 1u);
  expect_parts(warnings[0], {"total_size", "17", "16"});
}

TEST(Folder, without_weights_is_named) {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  expect_parts(error_of([&] { Safetensors::open_folder(folder.path(), warnings); }),
               {"no weights", "model.safetensors"});
}

}  // namespace
}  // namespace nemotron
