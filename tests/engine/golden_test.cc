// Golden models: every folder of tests/data/golden gives the logits, hidden states, drafts and states that it must.

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>

#include "engine/engine.h"
#include "io/state_file.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = NEMOTRON_SOURCE_DIR "/tests/data/golden";

// A file of expectations.
struct Expected {
  Safetensors file;
  explicit Expected(const fs::path& path) : file(Safetensors::open(path)) {}
  bool has(const std::string& name) const { return file.find(name) != nullptr; }
  template <class T>
  std::vector<T> list(const std::string& name) const {
    const Tensor* t = file.find(name);
    if (!t) throw std::runtime_error("no " + name);
    std::vector<T> out(t->bytes / sizeof(T));
    std::memcpy(out.data(), file.data(*t), t->bytes);
    return out;
  }
};

// Largest absolute difference of the kinds of result, beyond the rounding of the expectations to float32.
using Worst = std::map<std::string, double>;

void compare(Worst& worst, const std::string& kind, double got, float want) {
  const double beyond = std::fabs(got - double(want)) - 0x1p-24 * std::fabs(double(want));
  double& most = worst[kind];
  most = std::isnan(beyond) ? INFINITY : std::max(most, beyond);
}

double number(Rows rows, index t, index c) {
  return rows.real == Real::f32 ? double(rows.row<float>(t)[c]) : rows.row<double>(t)[c];
}

// Rows of `rows` at the expected positions; `rows` may end before the last of them.
void compare_rows(Worst& worst, const std::string& kind, const Expected& expected, const std::string& name, Rows rows) {
  const std::vector<float> want = expected.list<float>(name);
  size_t i = 0;
  for (const int32_t p : expected.list<int32_t>("positions"))
    if (p < rows.rows)
      for (index c = 0; c < rows.cols; ++c) compare(worst, kind, number(rows, p, c), want.at(i++));
  EXPECT_EQ(i, want.size()) << name;
}

void compare_states(Worst& worst, const Expected& expected, const State& state, const Model& model) {
  const std::vector<int32_t> positions = expected.list<int32_t>("positions");
  size_t found = 0;
  for (const OwnedTensor& t : state_tensors(state, 0, model, "", true)) {
    std::vector<float> got(t.bytes.size() / sizeof(float)), want = expected.list<float>(t.name);
    std::memcpy(got.data(), t.bytes.data(), t.bytes.size());
    const std::string kind = t.name.substr(t.name.rfind('.') + 1);
    if (kind == "k" || kind == "v") {  // at the expected positions only
      const auto row = size_t(t.shape[1] * t.shape[2]);
      std::vector<float> some;
      for (const int32_t p : positions)
        some.insert(some.end(), got.begin() + p * index(row), got.begin() + (p + 1) * index(row));
      got = some;
    }
    ASSERT_EQ(got.size(), want.size()) << t.name;
    for (size_t i = 0; i < got.size(); ++i) compare(worst, kind, double(got[i]), want[i]);
    ++found;
  }
  size_t states = 0;
  for (const Tensor& t : expected.file.tensors()) states += t.name.starts_with("layers.");
  EXPECT_EQ(found, states);
}

Worst run(const fs::path& folder, const Expected& expected, const std::string& backend) {
  EngineOptions options;
  options.exact = true;
  options.threads = 2;
  options.backend = backend;
  Engine engine(folder, options);
  const Model& model = engine.model();
  Context& ctx = engine.context();
  const std::vector<int32_t> ids = expected.list<int32_t>("ids");
  const auto T = index(ids.size());
  Worst worst;
  State state = make_state(model.config, engine.state_format());
  state.add();
  engine.feed({ids}, state, T, [&](int, index, Rows hidden) {
    compare_rows(worst, "hidden", expected, "hidden", hidden);
    compare_rows(worst, "logits", expected, "logits", logits(ctx, model, hidden));
    Rows before = hidden;
    for (index d = 1; expected.has("mtp." + std::to_string(d)); ++d) {
      State drafts = make_mtp_state(model.config, engine.state_format());
      drafts.add();
      const Segment rows{0, T - d, 0};
      before =
          mtp_forward(ctx, model, before.row_range(0, T - d), std::span(ids).subspan(size_t(d)), {&rows, 1}, drafts);
      compare_rows(worst, "mtp", expected, "mtp." + std::to_string(d), logits(ctx, model, before));
    }
  });
  compare_states(worst, expected, state, model);
  return worst;
}

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Measured, over all folders: cpu 8e-6 for logits, 3e-5 for drafts, 3e-6 for states; ref nothing at all. The states
// that come as float32 are rounded once more, by up to 6e-8 of their size.
void expect_below(const Worst& worst, double logits, double mtp, double states) {
  for (const auto& [kind, value] : worst) {
    const double limit = kind == "logits" || kind == "hidden" ? logits : kind == "mtp" ? mtp : states;
    EXPECT_LT(value, limit) << kind;
  }
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, is_met_by_the_cpu_backend) {
  const fs::path folder = kGolden / GetParam();
  expect_below(run(folder, Expected(folder / "expect.safetensors"), "cpu"), 2e-5, 1e-4, 2e-5);
}

TEST_P(Golden, is_met_by_the_ref_backend) {
  const fs::path folder = kGolden / GetParam();
  expect_below(run(folder, Expected(folder / "expect.safetensors"), "ref"), 1e-9, 1e-9, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(models, Golden, ::testing::ValuesIn(folders()), [](const auto& i) { return i.param; });

TEST(golden, pico_is_met_by_the_cpu_backend) {
  expect_below(run(NEMOTRON_SOURCE_DIR "/models/pico", Expected(kGolden / "pico.safetensors"), "cpu"), 1e-4, 1e-4,
               1e-4);
}

}  // namespace
}  // namespace nemotron
