// Models larger than memory: the same bits, only the picked experts read, and a line that says what to expect.

#include "engine/larger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>

#include "engine/engine.h"
#include "folders.h"
#include "io/checkpoint.h"
#include "io/random_checkpoint.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;

// A folder whose experts are larger than what a touched page brings with it: 128 KiB.
class Larger : public ::testing::Test {
 protected:
  Larger() {
    Json config = TinyModel("ME*E-E").config;
    const std::pair<const char*, Json> fields[] = {{"vocab_size", 2000},
                                                   {"hidden_size", 256},
                                                   {"n_routed_experts", 16},
                                                   {"num_experts_per_tok", 2},
                                                   {"moe_intermediate_size", 1024},
                                                   {"moe_latent_size", 256},
                                                   {"moe_shared_expert_intermediate_size", 512}};
    for (const auto& [name, value] : fields) config.set(name, value);
    Threads threads(2);
    make_random_checkpoint(config, "config.json", path, {.recipe = Recipe::nvfp4}, threads,
                           [](const auto&) { return true; });
    for (const auto& file : fs::directory_iterator(path))
      weights += file.path().extension() == ".safetensors" ? file.file_size() : 0;
  }

  std::vector<float> run(const EngineOptions& options, index chunk, uint64_t at_once = 0) const {
    Engine engine(path, options);
    if (at_once) engine.context().read_ahead->at_once = at_once;
    State state = make_state(engine.config(), engine.state_format());
    state.add();
    return engine.next_logits({ids}, state, chunk)[0];
  }

  const std::vector<int32_t> ids = {1300, 7, 1999, 0, 1300, 512, 40, 1111, 3, 900, 44, 1287};
  TemporaryFolder folder;
  const fs::path path = folder / "model";
  uint64_t weights = 0;
};

TEST_F(Larger, gives_the_same_bits) {
  const std::vector<float> expected = run({.threads = 2}, 512);
  for (const index chunk : {1, 512}) EXPECT_EQ(run({.threads = 2, .memory = 0}, chunk), expected) << chunk;
  EXPECT_EQ(run({.threads = 1, .memory = 0}, 512, 1), expected) << "expert by expert";
  EXPECT_EQ(run({.threads = 2, .memory = weights / 2}, 5, 700'000), expected) << "a few experts at a time";
  EngineOptions reference{.threads = 1, .backend = "ref"};
  const std::vector<float> of_ref = run(reference, 512);
  reference.memory = weights - 1;
  EXPECT_EQ(run(reference, 512, 1), of_ref);
}

TEST_F(Larger, what_fits_is_neither_warned_of_nor_asked_for) {
  for (const EngineOptions& options : {EngineOptions{.threads = 1}, EngineOptions{.threads = 1, .memory = weights}}) {
    Engine engine(path, options);
    EXPECT_TRUE(engine.warnings().empty()) << engine.warnings()[0];
    EXPECT_EQ(engine.context().read_ahead, nullptr);
  }
}

TEST_F(Larger, is_warned_of_in_one_line) {
  const Engine engine(path, {.threads = 1, .memory = weights / 2});
  ASSERT_EQ(engine.warnings().size(), 1u);
  expect_parts(engine.warnings()[0], {"larger than the available memory", "MiB", "experts are read from disk", "%"});
  const Engine none(path, {.threads = 1, .memory = 0});
  ASSERT_EQ(none.warnings().size(), 1u);
  expect_parts(none.warnings()[0], {"do not fit either", "0 %"});
}

// The whole pages of a matrix's codes that are in the page cache, and all of them. The pages at its ends hold other
// tensors too.
std::pair<size_t, size_t> pages_in_memory(const Matrix& w) {
  const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(w.data) + page - 1) / page * page,
                  end = (reinterpret_cast<uintptr_t>(w.data) + size_t(w.rows) * w.row_bytes()) / page * page;
  std::vector<unsigned char> there((end - begin) / page);
  if (mincore(reinterpret_cast<void*>(begin), end - begin, there.data()) != 0) return {0, there.size()};
  size_t count = 0;
  for (const unsigned char c : there) count += c & 1;
  return {count, there.size()};
}

void drop_from_page_cache(const fs::path& folder) {
  for (const auto& file : fs::directory_iterator(folder)) {
    const int descriptor = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    fsync(descriptor);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
  }
}

TEST_F(Larger, reads_the_picked_experts_and_no_others) {
  drop_from_page_cache(path);
  Engine engine(path, {.threads = 1, .memory = weights / 2});
  const auto* first = std::get_if<MoeWeights>(&engine.model().weights.layers[1].mixer);
  for (const Expert& e : first->experts)
    if (pages_in_memory(e.up_proj).first > 0) GTEST_SKIP() << "this file system keeps pages, or does not tell";

  Saved saved;
  const Segment all{0, 2, 0};
  forward(engine.context(), engine.model(), std::span(ids).first(2), {&all, 1}, nullptr, &saved);
  for (size_t i = 0; i < saved.layers.size(); ++i) {
    const auto* moe = std::get_if<MoeSaved>(&saved.layers[i].mixer);
    if (!moe) continue;
    const std::set<int32_t> picked(moe->routes.expert.begin(), moe->routes.expert.end());
    const auto& experts = std::get<MoeWeights>(engine.model().weights.layers[i].mixer).experts;
    for (size_t e = 0; e < experts.size(); ++e) {
      for (const Matrix* w : {&experts[e].up_proj, &experts[e].down_proj}) {
        const auto [there, whole] = pages_in_memory(*w);
        EXPECT_GE(whole, 30u);
        EXPECT_EQ(there, picked.count(int32_t(e)) ? whole : 0) << "layer " << i << ", expert " << e;
      }
    }
  }
  const uint64_t after = engine.context().read_ahead->asked();
  EXPECT_GT(after, 0u);
  EXPECT_LT(after, weights);
}

TEST(disk_demand, gives_common_weights_precedence) {
  const Footprint f{.common = {}, .common_bytes = 100, .expert_bytes = 1000, .picked_bytes = 50, .read_bytes = 10};
  const DiskDemand half = disk_demand(f, 600);
  EXPECT_TRUE(half.common_fits);
  EXPECT_DOUBLE_EQ(half.expert_share, 0.5);
  EXPECT_DOUBLE_EQ(half.token_bytes, 25);
  const DiskDemand tight = disk_demand(f, 99);
  EXPECT_FALSE(tight.common_fits);
  EXPECT_DOUBLE_EQ(tight.token_bytes, 150);
  EXPECT_DOUBLE_EQ(disk_demand(f, 5000).token_bytes, 0);
}

TEST(disk_demand, is_told_with_the_speed_to_expect) {
  constexpr uint64_t G = 1 << 30;
  const Footprint f{
      .common = {}, .common_bytes = 10 * G, .expert_bytes = 60 * G, .picked_bytes = 2 * G, .read_bytes = G};
  const DiskDemand d = disk_demand(f, 25 * G);
  EXPECT_EQ(
      larger_than_memory(d, f, 75 * G, 28 * G, double(G)),
      "the weights (75.0 GiB) are larger than the available memory (28.0 GiB): experts are read from disk as they "
      "are picked, 2.0 GiB of them for a token, of which memory holds 25 %; expect at most about 0.7 tokens/s from a "
      "disk "
      "of 1.0 GiB/s");
  expect_parts(larger_than_memory(d, f, 75 * G, 28 * G, 0), {"speed could not be measured"});
  const DiskDemand none = disk_demand(f, G);
  expect_parts(larger_than_memory(none, f, 75 * G, G, double(G)),
               {"the other weights (10.0 GiB) do not fit either", "0.08 tokens/s"});
}

TEST_F(Larger, footprint_is_what_the_config_says) {
  std::vector<std::string> warnings;
  Threads threads(1);
  const Model model = load_model(path, warnings, threads);
  const Footprint f = footprint(model);
  EXPECT_EQ(f.expert_bytes, 3u * 16 * 2 * (1024 * 256 / 2 + 1024 * 256 / 16));
  EXPECT_EQ(f.picked_bytes, f.expert_bytes / 8);
  EXPECT_EQ(f.read_bytes, 1024u * 256 / 2);
  uint64_t common = 0;
  for (const auto& bytes : f.common) common += bytes.size();
  EXPECT_EQ(common, f.common_bytes);
  EXPECT_LT(f.common_bytes + f.expert_bytes, weights);
  EXPECT_GT(f.common_bytes + f.expert_bytes + 2 * 2000 * 256, weights * 95 / 100) << "all but embeddings and headers";
}

}  // namespace
}  // namespace nemotron
