// `nemotron inspect` as a user runs it: the published totals from headers alone, and one line for a folder that is
// none.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "folders.h"

namespace nemotron {
namespace {

struct Outcome {
  int code;
  std::string out;
};

// Standard error joins standard output where `with_errors` is true, and is dropped elsewhere.
Outcome run(const std::string& command, bool with_errors = false) {
  FILE* pipe = popen((command + (with_errors ? " 2>&1" : " 2>/dev/null")).c_str(), "r");
  if (!pipe) throw Error({.what = "cannot run", .where = command});
  Outcome r{0, ""};
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) r.out.append(buffer, n);
  const int status = pclose(pipe);
  r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return r;
}

Outcome inspect(const std::filesystem::path& folder, const std::string& options = "", bool with_errors = false) {
  return run(std::string(NEMOTRON_PROGRAM) + " inspect '" + folder.string() + "' " + options, with_errors);
}

// Pages of the data of a file that are in memory, those that hold the end of the header aside.
size_t resident_data_pages(const std::filesystem::path& path) {
  const File file(path);
  uint64_t header = 0;
  file.read(0, &header, sizeof header);
  const uint64_t page = uint64_t(sysconf(_SC_PAGESIZE)), first = (8 + header + page - 1) / page;
  if (first * page >= file.size()) return 0;
  const Map map = file.map();
  std::vector<unsigned char> pages((file.size() - first * page + page - 1) / page);
  EXPECT_EQ(mincore(const_cast<uint8_t*>(map.data()) + first * page, size_t(file.size() - first * page), pages.data()),
            0);
  size_t count = 0;
  for (const unsigned char p : pages) count += p & 1;
  return count;
}

struct Published {
  const char* name;
  const char* totals;
  const char* parameters;
  const char* active;
};

class Headers : public testing::TestWithParam<Published> {};

TEST_P(Headers, give_the_published_totals_and_no_weight_is_touched) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(std::string(NEMOTRON_PROGRAM) + " make-random " + GetParam().name + " '" + folder.path().string() +
                "' --headers-only")
                .code,
            0);
  // Writing a header may leave pages behind it in memory, where the system caches files in larger pieces.
  const auto resident = [&] {
    size_t pages = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().extension() == ".safetensors") pages += resident_data_pages(entry.path());
    return pages;
  };
  const size_t before = resident();
  const Outcome r = inspect(folder.path());
  // A header that comes from the disk may bring what lies next to it, in the system's larger pieces: megabytes, where
  // the weights have at least 19 thousand.
  constexpr size_t kBesideHeaders = 4096;
  EXPECT_LE(resident(), before + kBesideHeaders);
  EXPECT_EQ(r.code, 0);
  for (const char* part : {GetParam().totals, GetParam().parameters, GetParam().active, "anomalies: none"})
    EXPECT_NE(r.out.find(part), std::string::npos) << "'" << part << "' is not in:\n" << r.out;
}

INSTANTIATE_TEST_SUITE_P(
    Releases, Headers,
    testing::Values(
        Published{"super-bf16", "42,683 tensors / 247,222,108,160 bytes", "123,611,033,088", "12,770,237,440"},
        Published{"super-nvfp4", "165,860 tensors / 80,297,329,824 bytes", "120,668,707,840", "11,696,495,616"},
        Published{"nano-nvfp4", "24,147 tensors / 19,339,781,632 bytes", "31,577,940,288", "3,580,076,352"},
        Published{"lightning-bf16", "6,513 tensors / 65,826,538,624 bytes", "1,335,325,952", "3,580,076,352"}),
    [](const auto& test) {
      std::string name = test.param.name;
      name[name.find('-')] = '_';
      return name;
    });

TEST(Inspect, describes_a_model_of_any_size) {
  const TemporaryFolder folder;
  TinyModel tiny("MEM*E-", true);
  tiny.make_nvfp4("backbone.layers.0.mixer.in_proj", 1);
  tiny.make_fp8("backbone.layers.0.mixer.out_proj", 1);
  tiny.write(folder.path());
  const Outcome text = inspect(folder.path());
  EXPECT_EQ(text.code, 0);
  for (const char* part : {"MEM*E-", "2 x Mamba-2", "NVFP4", "FP8", "F32", "MTP block *E", "anomalies: none"})
    EXPECT_NE(text.out.find(part), std::string::npos) << "'" << part << "' is not in:\n" << text.out;
  EXPECT_EQ(text.out.find("weight_scale_2"), std::string::npos);
  EXPECT_NE(inspect(folder.path(), "--tensors")
                .out.find("backbone.layers.0.mixer.in_proj.weight_scale_2 F32 [] 4 bytes, model.safetensors"),
            std::string::npos);

  const Json json = parse_json(inspect(folder.path(), "--json --tensors").out, "inspect");
  EXPECT_EQ(json.find("schedule")->string(), "MEM*E-");
  EXPECT_EQ(json.find("tensors")->integer(), int64_t(tiny.tensors.size()));
  EXPECT_EQ(json.find("tensor_list")->array().size(), tiny.tensors.size());
  EXPECT_EQ(json.find("formats")->find("NVFP4")->find("matrices")->integer(), 1);
  uint64_t bytes = 0;
  for (const TinyTensor& t : tiny.tensors) bytes += t.bytes.size();
  EXPECT_EQ(json.find("bytes")->integer(), int64_t(bytes));
}

TEST(Inspect, names_anomalies) {
  const TemporaryFolder folder;
  TinyModel tiny("M", true);
  std::erase_if(tiny.tensors, [](const TinyTensor& t) { return t.name.starts_with("mtp."); });
  tiny.write(folder.path());
  const Outcome r = inspect(folder.path());
  EXPECT_EQ(r.code, 0);
  EXPECT_NE(r.out.find("anomalies:\n  config.json promises an MTP block"), std::string::npos) << r.out;
}

TEST(Inspect, a_bad_folder_is_one_line_on_standard_error_and_exit_code_2) {
  const TemporaryFolder folder;
  TinyModel tiny("M");
  tiny.remove("lm_head.weight");
  tiny.write(folder.path());
  for (const char* options : {"", "--json", "--tensors"}) {
    const Outcome quiet = inspect(folder.path(), options);
    EXPECT_EQ(quiet.code, 2);
    EXPECT_EQ(quiet.out, "");
    const Outcome r = inspect(folder.path(), options, true);
    EXPECT_NE(r.out.find("1 missing (lm_head.weight)"), std::string::npos) << r.out;
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 1) << r.out;
  }
  EXPECT_EQ(inspect(folder / "absent").code, 2);
  EXPECT_EQ(inspect(folder.path(), "--no-such-option").code, 2);
}

}  // namespace
}  // namespace nemotron
