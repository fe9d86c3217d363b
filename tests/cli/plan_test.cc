// `nemotron plan` as a user runs it: the figures of Super, JSON for programs, pictures, and what
// is refused.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/program.h"

namespace nemotron {
namespace {

class Plan : public Program {
 protected:
  Json plan(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "plan");
    arguments.emplace_back("--json");
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 0) << o.err;
    return parse_json(o.out, "plan");
  }
};

const Json& at(const Json& json, const std::vector<std::string>& path) {
  const Json* here = &json;
  for (const std::string& key : path) {
    here = here->find(key);
    if (!here) throw Error({.what = "no such key", .where = key});
  }
  return *here;
}

TEST_F(Plan, prints_the_figures_of_super) {
  const Outcome o = run({"plan", "super", "--against", "gpt-oss-120b", "qwen3.5-122b-a10b"});
  EXPECT_EQ(o.code, 0) << o.err;
  for (const char* words :
       {"120.67 B parameters (123.61 B with MTP), 12.77 B active", "4096 B of KV a token in FP8",
        "163.1 MiB of Mamba state a sequence (float32 state, 16-bit convolution of 4 columns)",
        "than that of GPT-OSS-120B: from 5,801 tokens", "than that of Qwen3.5-122B-A10B: from 10,440 tokens",
        "sliding windows counted", "with the other's own state and convolution counted, too: from 1,008 tokens",
        "uniform routing", "2.2 x", "7.5 x", "prompts of 8,192 and answers of 65,536 tokens", "arXiv 2604.12374",
        "source: config.json of nvidia/NVIDIA-Nemotron-3-Super-120B-A12B"})
    EXPECT_NE(o.out.find(words), std::string::npos) << "'" << words << "' is not in:\n" << o.out;
  // Without --against the two contexts are there all the same.
  const std::string alone = run({"plan", "Super"}).out;
  for (const char* words : {"from 5,801 tokens", "from 10,440 tokens", "4096 B of KV", "H100", "M3 Ultra"})
    EXPECT_NE(alone.find(words), std::string::npos) << "'" << words << "' is not in:\n" << alone;
}

TEST_F(Plan, every_published_name_and_machine_is_known) {
  for (const char* name : {"nano", "ultra", "lightning", "gpt-oss-120b", "gpt-oss-20b", "qwen3.5-122b-a10b",
                           "Qwen3.5-27B", "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8"})
    EXPECT_GT(at(plan({name}), {"parameters", "total"}).integer(), 0) << name;
  for (const char* machine :
       {"H100", "H200", "B200", "B300", "GB200", "DGX Spark", "RTX 5090", "M3 Ultra", "dgx-spark"})
    EXPECT_GT(at(plan({"nano", "--machine", machine}), {"machine", "decode", "tokens_per_second"}).number(), 0)
        << machine;
}

TEST_F(Plan, json_has_every_figure) {
  const Json json = plan({"super-nvfp4", "--context", "1M", "--batch", "4", "--kv", "fp8", "--machine", "B200",
                          "--against", "gpt-oss-120b"});
  for (const std::vector<std::string>& path :
       std::vector<std::vector<std::string>>{{"model", "source"},
                                             {"model", "layers", "mamba"},
                                             {"workload", "conv_columns"},
                                             {"parameters", "active_without_input_embedding"},
                                             {"parameters", "by_kind", "moe", "per_layer"},
                                             {"weights", "by_kind", "mtp"},
                                             {"weights", "by_format", "NVFP4"},
                                             {"cache", "kv_bytes_per_token", "f32"},
                                             {"memory", "activations"},
                                             {"work", "decode", "flops_per_token"},
                                             {"work", "prefill", "bytes_per_token"},
                                             {"machine", "machine", "source"},
                                             {"machine", "compute_bound_batch"},
                                             {"machine", "largest_batch"},
                                             {"machine", "remedies"},
                                             {"machine", "prefill", "seconds_per_token"},
                                             {"machines"},
                                             {"cache_crossings"},
                                             {"against"},
                                             {"served", "tables"}})
    EXPECT_NO_THROW(at(json, path)) << path.back();
  EXPECT_EQ(at(json, {"workload", "context"}).integer(), 1 << 20);
  EXPECT_EQ(at(json, {"workload", "batch"}).integer(), 4);
  EXPECT_EQ(at(json, {"parameters", "total"}).integer(), 120'668'707'840);
  EXPECT_EQ(at(json, {"weights", "bytes"}).integer(), 80'297'329'824);
  EXPECT_EQ(at(json, {"cache", "kv_bytes_per_token", "fp8"}).integer(), 4096);
  EXPECT_EQ(at(json, {"cache", "state_bytes", "f32"}).integer(), 171'048'960);
  EXPECT_EQ(at(json, {"memory", "kv"}).integer(), 4 * int64_t{4096} * (1 << 20));
  EXPECT_EQ(at(json, {"memory", "state"}).integer(), 4 * 171'048'960);
  const Json& crossing = at(json, {"cache_crossings"}).array()[0];
  EXPECT_EQ(crossing.find("kv_16_bits")->array()[0].find("tokens")->integer(), 5801);
  const Json& claimed = at(json, {"served", "tables"}).array()[0].find("models")->array().back();
  EXPECT_DOUBLE_EQ(claimed.find("claimed_ratio")->number(), 2.2);
  EXPECT_GT(claimed.find("ratios")->array()[0].number(), 1);
}

TEST_F(Plan, weights_of_a_folder_are_as_its_tensors_are_unless_it_is_told_otherwise) {
  const Json own = plan({pico, "--machine", "H100"}), fp8 = plan({pico, "--machine", "H100", "--weights", "fp8"});
  EXPECT_EQ(at(own, {"weights", "bytes"}).integer(), 9'144'000);
  EXPECT_LT(at(fp8, {"weights", "bytes"}).integer(), 9'144'000);
  EXPECT_EQ(at(own, {"workload", "kv"}).string(), "BF16");
  EXPECT_EQ(at(plan({pico + "/config.json", "--machine", "H100"}), {"weights", "bytes"}).integer(), 9'144'000);
}

TEST_F(Plan, says_what_would_make_a_model_fit) {
  const Json json = plan({"super", "--weights", "bf16", "--machine", "H200", "--batch", "64", "--context", "128k"});
  EXPECT_FALSE(at(json, {"machine", "fits"}).boolean());
  std::string keys;
  bool any = false;
  for (const Json& r : at(json, {"machine", "remedies"}).array()) {
    keys += r.find("key")->string() + " ";
    const double total = at(r, {"memory", "total"}).number();
    EXPECT_EQ(r.find("fits")->boolean(),
              total <= at(json, {"machine", "machine", "capacity_bytes"}).number() *
                           (r.find("key")->string() == "machines" ? r.find("value")->number() : 1))
        << keys;
    any = any || r.find("fits")->boolean();
  }
  EXPECT_TRUE(any);
  for (const char* key : {"weights_fp8", "weights_nvfp4", "state_f16", "all_formats", "machines"})
    EXPECT_NE(keys.find(key), std::string::npos) << key << " in " << keys;
}

TEST_F(Plan, refuses_what_it_cannot_plan) {
  expect_refused({"plan", "no-such-model"}, {"no such model", "Nano", "gpt-oss-20b"});
  expect_refused({"plan", "super", "--machine", "cray"}, {"no such machine", "H100", "this"});
  for (const char* bad : {"0", "-1", "1e18", "8kk", "k", "", "9999999999999", "8 k", "99999999999999999999"})
    expect_refused({"plan", "super", "--context", bad}, {"--context", "8192, 8k or 1M"});
  for (const char* bad : {"0", "x", "2000000000"}) expect_refused({"plan", "super", "--batch", bad}, {"--batch"});
  for (const char* option : {"--weights", "--kv", "--state"}) expect_refused({"plan", "super", option, "q4"}, {option});
  expect_refused({"plan", "super", "--against", "nobody"}, {"no such model"});
  write_text(folder / "config.json", "{\"model_type\": \"llama\"}");
  expect_refused({"plan", (folder / "config.json").string()}, {"config.json"});
  expect_refused({"plan", folder.path().string()}, {"config.json"});
  expect_refused({"plan", "super", "--context", "1099511627776", "--batch", "1000000000"}, {"64 bits"});
}

TEST_F(Plan, pictures_are_well_formed_and_readable_in_light_and_dark) {
  const std::string out = (folder / "pictures").string();
  ASSERT_EQ(run({"plan", "super", "--svg", out, "--against", "gpt-oss-120b", "qwen3.5-122b-a10b"}).code, 0);
  for (const char* name : {"/cache.svg", "/throughput.svg"}) {
    const std::string svg = read_text(out + name);
    EXPECT_NE(svg.find("prefers-color-scheme:dark"), std::string::npos);
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(svg.find("url(http"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(std::system(
                  ("python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' '" + out + name + "'")
                      .c_str()),
              0);
  }
  EXPECT_NE(read_text(out + "/cache.svg").find("equal at 10,440"), std::string::npos);
  EXPECT_NE(read_text(out + "/throughput.svg").find("memory full at"), std::string::npos);
}

}  // namespace
}  // namespace nemotron
