// `nemotron logits` as a process: the same bytes for any way of running a sequence, states that go on, and bad input.

#include "cli/program.h"
#include "ops/ops.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;
const std::string kGolden = NEMOTRON_SOURCE_DIR "/tests/data/golden/";

class Logits : public Program {
 protected:
  int runs = 0;

  std::string write_ids(const std::vector<std::vector<int32_t>>& lists, bool batch) {
    std::string text;
    for (const auto& list : lists) {
      std::string one;
      for (const int32_t id : list) one += (one.empty() ? "[" : ", ") + std::to_string(id);
      text += (text.empty() ? "" : ", ") + one + "]";
    }
    const std::string path = (folder / ("ids" + std::to_string(runs++))).string();
    write_text(path, batch ? "[" + text + "]" : text);
    return path;
  }

  // Runs `logits` and returns the file that it wrote.
  fs::path result(const std::string& model, const std::string& ids, const std::vector<std::string>& options) {
    const fs::path out = folder / ("result" + std::to_string(runs++));
    std::vector<std::string> arguments = {"logits", model, "--ids", ids, "--out", out.string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, "");
    return out;
  }
};

std::vector<int32_t> some_ids(size_t count, int vocab, uint32_t seed) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(int32_t((seed = seed * 1664525 + 1013904223) >> 8) % vocab);
  return ids;
}

// The bytes of a tensor of a file.
std::string bytes_of(const fs::path& path, const std::string& name) {
  const Safetensors file = Safetensors::open(path);
  const Tensor* t = file.find(name);
  EXPECT_NE(t, nullptr) << name << " is not in " << path;
  return t ? std::string(reinterpret_cast<const char*>(file.data(*t)), t->bytes) : "";
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Every tensor of the single run is in the batch, behind `prefix`, with the same bytes.
void expect_within(const fs::path& single, const fs::path& batch, const std::string& prefix) {
  const Safetensors file = Safetensors::open(single);
  EXPECT_GE(file.tensors().size(), 2u);
  for (const Tensor& t : file.tensors())
    EXPECT_TRUE(bytes_of(single, t.name) == bytes_of(batch, prefix + t.name)) << prefix << t.name;
}

TEST_F(Logits, files_are_equal_for_any_chunk_threads_target_and_batch) {
  const struct {
    std::string model;
    int vocab;
    std::vector<std::string> options;
  } cases[] = {{kGolden + "super_like", 96, {"--mtp", "3", "--states"}},
               {kGolden + "odd_sizes", 101, {"--states", "--kv", "bf16"}},
               {kGolden + "modelopt_mixed",
                256,
                {"--mtp", "1", "--kv", "fp8", "--state", "f16", "--state-seed", "5", "--states"}},
               {pico, 2048, {"--mtp", "2"}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.model);
    const std::vector<int32_t> ids = some_ids(139, c.vocab, 1);
    const std::string single = write_ids({ids}, false);
    const fs::path want = result(c.model, single, c.options + std::vector<std::string>{"--threads", "1"});
    const std::string bytes = read_text(want);
    for (const char* chunk : {"1", "3", "7", "64", "all"}) {
      const std::string threads = std::string(chunk) == "1" ? "1" : std::string(chunk) == "7" ? "5" : "2";
      EXPECT_TRUE(read_text(result(c.model, single,
                                   c.options + std::vector<std::string>{"--chunk", chunk, "--threads", threads})) ==
                  bytes)
          << "--chunk " << chunk;
    }
    for (const std::string& target : cpu_targets())
      EXPECT_TRUE(read_text(result(c.model, single,
                                   c.options + std::vector<std::string>{"--target", target, "--threads", "5"})) ==
                  bytes)
          << "--target " << target;
    const std::string batch =
        write_ids({some_ids(1, c.vocab, 2), some_ids(200, c.vocab, 3), ids, some_ids(70, c.vocab, 4)}, true);
    for (const char* chunk : {"7", "all"})
      expect_within(
          want, result(c.model, batch, c.options + std::vector<std::string>{"--chunk", chunk, "--threads", "2"}), "2.");
  }
}

TEST_F(Logits, holds_what_was_asked_for_in_the_shapes_that_were_promised) {
  const std::string ids = write_ids({some_ids(5, 96, 1)}, false);
  const Safetensors plain = Safetensors::open(result(kGolden + "super_like", ids, {}));
  ASSERT_EQ(plain.tensors().size(), 2u);
  EXPECT_EQ(plain.find("logits")->shape, (Shape{5, 96}));
  EXPECT_EQ(plain.find("hidden")->shape, (Shape{5, 32}));
  EXPECT_EQ(plain.find("logits")->dtype, Dtype::f32);
  const Safetensors all = Safetensors::open(result(kGolden + "super_like", ids, {"--mtp", "6", "--states"}));
  EXPECT_EQ(all.find("mtp.1")->shape, (Shape{4, 96}));
  EXPECT_EQ(all.find("mtp.4")->shape, (Shape{1, 96}));
  EXPECT_EQ(all.find("mtp.5")->shape, (Shape{0, 96}));
  EXPECT_EQ(all.find("mtp.6")->shape, (Shape{0, 96}));
  EXPECT_EQ(all.find("layers.0.conv")->shape, (Shape{3, 256}));
  EXPECT_EQ(all.find("layers.0.ssm")->shape, (Shape{16, 8, 16}));
  EXPECT_EQ(all.find("layers.5.k")->shape, (Shape{5, 2, 16}));
  EXPECT_EQ(all.find("layers.9.v")->shape, (Shape{5, 2, 16}));
  EXPECT_EQ(all.find("layers.1.conv"), nullptr);
}

TEST_F(Logits, goes_on_from_a_saved_state_with_the_same_bytes) {
  for (const std::string& model : {kGolden + "odd_sizes", pico}) {
    const std::vector<int32_t> ids = some_ids(100, 101, 7), stranger = some_ids(80, 101, 8);
    const auto cut = [](const std::vector<int32_t>& list, size_t at) {
      return std::pair(std::vector<int32_t>(list.begin(), list.begin() + index(at)),
                       std::vector<int32_t>(list.begin() + index(at), list.end()));
    };
    const auto [first, rest] = cut(ids, 65);
    const auto [first2, rest2] = cut(stranger, 3);
    const std::string whole_ids = write_ids({stranger, ids}, true), first_ids = write_ids({first2, first}, true),
                      rest_ids = write_ids({rest2, rest}, true);
    for (const char* kv : {"f32", "bf16", "fp8"}) {
      for (const char* state : {"f32", "f16"}) {
        SCOPED_TRACE(model + " --kv " + kv + " --state " + state);
        const std::vector<std::string> formats = {"--kv", kv, "--state", state, "--state-seed", "11", "--threads", "2"};
        const std::string saved = (folder / "saved").string(), again = (folder / "again").string(),
                          direct = (folder / "direct").string();
        const fs::path whole =
            result(model, whole_ids, formats + std::vector<std::string>{"--states", "--save-state", direct});
        const fs::path start = result(model, first_ids, formats + std::vector<std::string>{"--save-state", saved});
        const fs::path end =
            result(model, rest_ids,
                   formats + std::vector<std::string>{"--load-state", saved, "--states", "--save-state", again});
        for (const std::string slot : {"0.", "1."}) {
          for (const std::string name : {"logits", "hidden"})
            EXPECT_TRUE(bytes_of(start, slot + name) + bytes_of(end, slot + name) == bytes_of(whole, slot + name))
                << slot + name;
        }
        const Safetensors tensors = Safetensors::open(whole);
        for (const Tensor& t : tensors.tensors()) {
          if (t.name.find("layers") == t.name.npos) continue;
          EXPECT_TRUE(bytes_of(end, t.name) == bytes_of(whole, t.name)) << t.name;
        }
        EXPECT_TRUE(read_text(again) == read_text(direct)) << "saved states";
      }
    }
  }
}

TEST_F(Logits, of_the_reference_go_on_from_a_saved_state_too) {
  const std::vector<int32_t> ids = some_ids(20, 96, 9);
  const std::string model = kGolden + "lightning", saved = (folder / "saved").string();
  const std::vector<std::string> ref = {"--backend", "ref"};
  const fs::path whole = result(model, write_ids({ids}, false), ref);
  const fs::path start = result(model, write_ids({{ids.begin(), ids.begin() + 9}}, false),
                                ref + std::vector<std::string>{"--save-state", saved});
  const fs::path end = result(model, write_ids({{ids.begin() + 9, ids.end()}}, false),
                              ref + std::vector<std::string>{"--load-state", saved});
  EXPECT_TRUE(bytes_of(start, "logits") + bytes_of(end, "logits") == bytes_of(whole, "logits"));
}

TEST_F(Logits, depends_on_what_it_should_depend_on) {
  const std::string model = kGolden + "super_like", ids = write_ids({some_ids(40, 96, 1)}, false);
  const std::string plain = read_text(result(model, ids, {}));
  const std::string half = read_text(result(model, ids, {"--state", "f16"}));
  EXPECT_TRUE(read_text(result(model, ids, {"--kv", "bf16"})) != plain);
  EXPECT_TRUE(read_text(result(model, ids, {"--kv", "fp8"})) != plain);
  EXPECT_TRUE(half != plain);
  EXPECT_TRUE(read_text(result(model, ids, {"--state", "f16", "--state-seed", "1"})) != half);
  EXPECT_TRUE(read_text(result(model, ids, {"--dt-min", "0.5"})) != plain);
  EXPECT_TRUE(read_text(result(model, ids, {"--backend", "ref"})) != plain);
}

// ---- bad input: exit code 2, one line that names the thing, nothing on standard output

class BadLogits : public Logits {
 protected:
  // `logits` with these ids, otherwise well.
  void expect_ids_refused(const std::string& json, const std::vector<std::string>& parts) {
    const std::string ids = (folder / "bad.json").string();
    write_text(ids, json);
    expect_refused({"logits", model, "--ids", ids, "--out", out}, parts);
    EXPECT_FALSE(fs::exists(out));
  }
  const std::string model = kGolden + "conv3", out = (folder / "result").string();
};

TEST_F(BadLogits, ids_are_refused_by_their_place) {
  expect_ids_refused("[1, 2, 96]", {"bad.json", "item 2", "0 to 95", "96"});
  expect_ids_refused("[1, -1]", {"bad.json", "item 1", "negative"});
  expect_ids_refused("[[1], [2, 2147483648]]", {"bad.json", "list 1", "item 1"});
  expect_ids_refused("[4294967297]", {"item 0", "0 to 95"});
  expect_ids_refused("[18446744073709551617]", {"bad.json"});
  expect_ids_refused("[-9223372036854775809]", {"bad.json"});
  expect_ids_refused("[18446744073709551615]", {"item 0"});
  expect_ids_refused("[]", {"bad.json", "empty"});
  expect_ids_refused("[[]]", {"bad.json", "empty"});
  expect_ids_refused("[[1], []]", {"bad.json", "list 1", "empty"});
  expect_ids_refused("[1, [2]]", {"bad.json", "item 1"});
  expect_ids_refused("[[1], 2]", {"bad.json", "list 1"});
  expect_ids_refused("[[[1]]]", {"bad.json"});
  expect_ids_refused("[1.0]", {"bad.json", "item 0"});
  expect_ids_refused("[1e2]", {"bad.json", "item 0"});
  expect_ids_refused("[true]", {"bad.json", "item 0"});
  expect_ids_refused("[null]", {"bad.json", "item 0"});
  expect_ids_refused("[\"1\"]", {"bad.json", "item 0"});
  expect_ids_refused("{\"ids\": [1]}", {"bad.json", "list"});
  expect_ids_refused("7", {"bad.json", "list"});
  expect_ids_refused("", {"bad.json"});
  expect_ids_refused("[1, 2", {"bad.json"});
  expect_ids_refused("[1] [2]", {"bad.json"});
  expect_ids_refused(std::string(100000, '['), {"bad.json"});
  expect_ids_refused("[" + std::string(100000, '9') + "]", {"bad.json"});
}

TEST_F(BadLogits, files_and_folders_are_refused_by_name) {
  const std::string ids = write_ids({{1, 2, 3}}, false);
  expect_refused({"logits", model, "--ids", (folder / "nowhere").string(), "--out", out}, {"nowhere", "No such file"});
  expect_refused({"logits", model, "--ids", folder.path().string(), "--out", out}, {folder.path().string()});
  expect_refused({"logits", (folder / "nowhere").string(), "--ids", ids, "--out", out}, {"nowhere"});
  expect_refused({"logits", model, "--ids", ids, "--out", (folder / "no").string() + "/such/out"}, {"no/such/out"});
  expect_refused({"logits", model, "--ids", ids, "--out", folder.path().string()}, {folder.path().string()});
  expect_refused(
      {"logits", model, "--ids", ids, "--out", out, "--save-state", (folder / "no").string() + "/such/state"},
      {"no/such/state"});
}

TEST_F(BadLogits, options_are_refused_by_name) {
  const std::string ids = write_ids({{1, 2, 3}}, false);
  const std::vector<std::string> good = {"logits", model, "--ids", ids, "--out", out};
  expect_refused(good + std::vector<std::string>{"--chunks", "3"}, {"--chunks"});
  expect_refused(good + std::vector<std::string>{"stray"}, {"stray"});
  expect_refused(good + std::vector<std::string>{"--chunk", "0x"}, {"--chunk"});
  expect_refused(good + std::vector<std::string>{"--chunk", "-1"}, {"--chunk"});
  expect_refused(good + std::vector<std::string>{"--chunk", "99999999999999999999"}, {"--chunk"});
  expect_refused(good + std::vector<std::string>{"--threads", "0"}, {"--threads"});
  expect_refused(good + std::vector<std::string>{"--threads", "100000"}, {"--threads"});
  expect_refused(good + std::vector<std::string>{"--backend", "gpu"}, {"--backend", "gpu"});
  expect_refused(good + std::vector<std::string>{"--target", "AVX99"}, {"--target", "AVX99", cpu_targets().front()});
  expect_refused(good + std::vector<std::string>{"--backend", "ref", "--target", cpu_targets().front()}, {"--target"});
  expect_refused(good + std::vector<std::string>{"--kv", "int8"}, {"--kv"});
  expect_refused(good + std::vector<std::string>{"--state", "bf16"}, {"--state"});
  expect_refused(good + std::vector<std::string>{"--state-seed", "-1"}, {"--state-seed"});
  expect_refused(good + std::vector<std::string>{"--state-seed", "18446744073709551616"}, {"--state-seed"});
  expect_refused(good + std::vector<std::string>{"--dt-min", "-1"}, {"--dt-min"});
  expect_refused(good + std::vector<std::string>{"--dt-min", "nan"}, {"--dt-min"});
  expect_refused(good + std::vector<std::string>{"--dt-min", "x"}, {"--dt-min"});
  expect_refused(good + std::vector<std::string>{"--mtp", "1"}, {"MTP"});
  expect_refused({"logits", model, "--ids", ids}, {"--out"});
  expect_refused({"logits", model, "--out", out}, {"--ids"});
  expect_refused({"logits"}, {"DIR"});
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(BadLogits, states_are_refused_that_are_damaged_or_of_another_model) {
  const std::string ids = write_ids({{1, 2, 3}}, false), saved = (folder / "saved").string(),
                    bad = (folder / "bad").string();
  result(model, ids, {"--save-state", saved});
  const std::vector<std::string> load = {"logits", model, "--ids", ids, "--out", out, "--load-state"};
  const std::string bytes = read_text(saved);
  expect_refused(load + std::vector<std::string>{(folder / "nowhere").string()}, {"nowhere"});
  expect_refused({"logits", kGolden + "tied", "--ids", ids, "--out", out, "--load-state", saved}, {"saved", "model"});
  expect_refused(load + std::vector<std::string>{saved, "--backend", "ref"}, {"saved", "f64"});
  expect_refused({"logits", model, "--ids", write_ids({{1}, {2}}, true), "--out", out, "--load-state", saved},
                 {"saved", "2"});
  for (const std::vector<std::string>& other :
       {std::vector<std::string>{"--kv", "fp8"}, {"--state", "f16"}, {"--state-seed", "4"}})
    expect_refused(load + std::vector<std::string>{saved} + other, {other[0], "--load-state", "saved"});
  expect_refused(load + std::vector<std::string>{model + "/model.safetensors"},
                 {"model.safetensors", "format", "nemotron-state-1"});
  // Cut anywhere, and every kind of byte turned in the header: refused, never a crash. A header may survive some turns
  // (a seed is any number), but its length and braces may not.
  for (const size_t size : {size_t(0), size_t(7), size_t(8), size_t(100), bytes.size() / 2, bytes.size() - 1}) {
    write_text(bad, bytes.substr(0, size));
    expect_refused(load + std::vector<std::string>{bad}, {bad});
  }
  write_text(bad, bytes + "x");
  expect_refused(load + std::vector<std::string>{bad}, {bad});
  const auto spoil = [&](const std::string& from, const std::string& to, const std::vector<std::string>& parts) {
    std::string spoilt = bytes;
    const size_t at = spoilt.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_EQ(from.size(), to.size());
    spoilt.replace(at, from.size(), to);
    write_text(bad, spoilt);
    expect_refused(load + std::vector<std::string>{bad}, std::vector<std::string>{bad} + parts);
  };
  spoil("nemotron-state-1", "nemotron-state-9", {"format", "nemotron-state-9"});
  spoil("\"position.0\":\"3\"", "\"position.0\":\"4\"", {"layers.1.k"});
  spoil("\"position.0\":\"3\"", "\"position.0\":\"x\"", {"position.0"});
  spoil("\"position.0\":\"3\"", "\"position.1\":\"3\"", {"position.0"});
  spoil("\"sequences\":\"1\"", "\"sequences\":\"0\"", {});
  spoil("\"sequences\":\"1\"", "\"sequences\":\"9\"", {});
  spoil("0.layers.0.ssm", "0.layers.9.ssm", {"layers.0.ssm"});
  spoil("\"kv\":\"f32\"", "\"kv\":\"f64\"", {"kv", "f64"});
  spoil("\"F32\"", "\"I32\"", {});
  std::string spoilt = bytes;
  spoilt[7] = '\x10';  // a header of 2^60 bytes
  write_text(bad, spoilt);
  expect_refused(load + std::vector<std::string>{bad}, {bad});
}

}  // namespace
}  // namespace nemotron
