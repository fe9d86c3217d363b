// `nemotron plan`: what a model will need and how fast it can be, before anything is downloaded or run.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/map.h"
#include "cli/commands.h"
#include "cli/stored.h"
#include "model/presets.h"
#include "plan/drawing.h"
#include "plan/figures.h"
#include "plan/resident.h"
#include "plan/rivals.h"
#include "plan/study.h"

namespace nemotron::cli {
namespace {

constexpr uint64_t kMostContext = uint64_t{1} << 40, kMostBatch = 1'000'000'000;
constexpr uint64_t kMostConfig = 100'000'000;  // bytes; Super NVFP4's config.json is 7 MB

struct Options {
  std::string model, context = "8k", batch = "1", weights, kv, state, machine, svg;
  std::vector<std::string> against;
  bool json = false;
};

// "8192", "8k" or "1M": thousands and millions of tokens are powers of 1024.
uint64_t parse_count(const std::string& text, const char* option, uint64_t most) {
  uint64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, n);
  const std::string_view suffix(rest, size_t(end - rest));
  const uint64_t unit = suffix.empty()                   ? 1
                        : suffix == "k" || suffix == "K" ? uint64_t{1} << 10
                        : suffix == "m" || suffix == "M" ? uint64_t{1} << 20
                                                         : 0;
  if (error == std::errc() && unit != 0 && n >= 1 && n <= most / unit) return n * unit;
  throw Error({.what = "bad number",
               .where = option,
               .expected = fmt::format("1 to {}, such as 8192, 8k or 1M", grouped(most)),
               .found = text.empty() ? "nothing" : printable(text, 60)});
}

NumberFormat cache_format(const std::string& name) {
  return name == "f32" ? NumberFormat::f32 : name == "fp8" ? NumberFormat::fp8 : NumberFormat::bf16;
}

// ---- the model ----

// A model, and what our own program needs to know to run it.
struct Found {
  Subject subject;
  std::optional<Resident> resident;  // none for models that it does not run
};

std::string weights_label(const Config& config, Recipe recipe) {
  const Precision precision(config, recipe);
  const bool released = precision.map() != Precision::Map::general || recipe == Recipe::bf16;
  std::string name = recipe_name(recipe);
  for (char& c : name)
    if (recipe != Recipe::mixed) c = char(std::toupper(static_cast<unsigned char>(c)));
  return name + (released ? "" : ", by the general recipe");
}

std::optional<Recipe> given_recipe(const std::string& name) {
  if (name.empty()) return {};
  return find_recipe(name);
}

// A Nemotron-H model stored by a recipe; `kv_scales` where its folder says how to store keys and values in FP8.
Subject nemotron_subject(const Config& config, const std::string& label, std::string source, Architecture architecture,
                         std::string weights, bool fp8_cache) {
  const Preset* known = preset_of(config);
  Subject s;
  s.architecture = std::move(architecture);
  s.architecture.name = known ? known->long_name : label + ", a Nemotron-H model of no published size";
  s.architecture.label = known ? known->name : label;
  s.architecture.source = std::move(source);
  s.weights = std::move(weights);
  s.deployed.kv = fp8_cache ? NumberFormat::fp8 : NumberFormat::bf16;
  s.own = {NumberFormat::f32, NumberFormat::f32, NumberFormat::f32, false};
  s.stored_as = [config, title = s.architecture.name, short_title = s.architecture.label,
                 from = s.architecture.source](const std::string& as) -> std::optional<Architecture> {
    try {
      Architecture a = describe(config, *find_recipe(as));
      a.name = title, a.label = short_title, a.source = from;
      return a;
    } catch (const Error&) {  // columns that are no whole blocks
      return {};
    }
  };
  return s;
}

// Of a folder that does not exist yet: headers as long as the releases', and their tokenizer.
Resident expected_resident(const Config& config, Recipe recipe) {
  Resident r{.config = config};
  visit_stored(config, Precision(config, recipe), [&](const Stored& s) { r.tensors += s.tensors.size(); });
  r.headers = 130 * r.tensors;
  r.tokenizer = preset_of(config) ? 17'077'484 : 0;  // spec/model.md 9.1
  return r;
}

Found folder_subject(const std::string& path, const Options& o) {
  const Checkpoint c = open_checkpoint(path);
  Config config = c.config;
  if (!c.has_mtp) config.mtp_layers.clear();
  // "models/pico/" has no last name, "models/pico" has.
  const std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
  const std::string name = printable((folder.has_filename() ? folder : folder.parent_path()).filename().string(), 40);
  const auto recipe = given_recipe(o.weights);
  if (recipe) {
    return {nemotron_subject(config, name, path + ": config.json", describe(config, *recipe),
                             weights_label(config, *recipe), *recipe != Recipe::bf16),
            expected_resident(config, *recipe)};
  }
  Architecture a = architecture_of(c);
  return {nemotron_subject(config, name, path + ": the headers of its tensors", std::move(a), "as its tensors are",
                           has_kv_scales(c)),
          resident_of(c)};
}

Found config_subject(const std::string& path, const Options& o) {
  const Config config = parse_config(parse_json(nemotron::read_file(path, kMostConfig), path), path);
  const Recipe recipe = given_recipe(o.weights).value_or(Recipe::bf16);
  return {nemotron_subject(config, printable(std::filesystem::path(path).filename().string(), 40), path,
                           describe(config, recipe), weights_label(config, recipe), recipe != Recipe::bf16),
          expected_resident(config, recipe)};
}

Found preset_subject(const Preset& preset, const std::string& format, const Options& o) {
  const Recipe recipe = given_recipe(o.weights.empty() ? format : o.weights).value_or(Recipe::nvfp4);
  Subject s = nemotron_subject(preset.config, preset.name, preset.source, describe(preset.config, recipe),
                               weights_label(preset.config, recipe), recipe != Recipe::bf16);
  if (*preset.uncertain) s.architecture.assumptions.emplace_back(preset.uncertain);
  return {std::move(s), expected_resident(preset.config, recipe)};
}

Found rival_subject(Architecture a, const std::string& name, const Options& o) {
  Subject s;
  s.architecture = std::move(a);
  const bool oss = s.architecture.recurrent.empty();
  s.weights = !o.weights.empty() ? o.weights : oss ? "MXFP4 as released" : "BF16 as released";
  s.deployed.kv = oss ? NumberFormat::fp8 : NumberFormat::bf16;  // as NVIDIA's report served them (arXiv 2604.12374)
  s.own = s.deployed;
  s.stored_as = [name](const std::string& as) { return rival(name, as); };
  return {std::move(s), {}};
}

// A folder, a config.json or a published name, in this order.
Found find_subject(const std::string& model, const Options& o) {
  std::error_code ignored;
  if (std::filesystem::is_directory(model, ignored)) return folder_subject(model, o);
  if (path_exists(model)) return config_subject(model, o);
  std::string format;
  if (const Preset* preset = find_preset(model, &format)) return preset_subject(*preset, format, o);
  if (std::optional<Architecture> a = rival(model, o.weights)) return rival_subject(std::move(*a), model, o);
  std::string names;
  for (const Preset& p : presets()) names += std::string(p.name) + ", ";
  for (const std::string& r : rival_names()) names += r + ", ";
  throw Error({.what = "no such model",
               .expected = "a checkpoint folder, a config.json, or one of " + names.substr(0, names.size() - 2),
               .found = printable(model, 100)});
}

Machine find_chosen(const std::string& name, Threads& threads) {
  if (name == "this") return measure_this_machine(threads);
  if (std::optional<Machine> m = find_machine(name)) return *m;
  std::string names = "this";
  for (const Machine& m : machines()) names += ", " + m.name;
  throw Error(
      {.what = "no such machine", .where = "--machine", .expected = "one of " + names, .found = printable(name, 60)});
}

void write_drawings(const Study& study, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error({.what = "cannot make the folder", .where = "--svg " + folder, .found = error.message()});
  for (const auto& [name, text] :
       {std::pair("cache.svg", draw_caches(study)), std::pair("throughput.svg", draw_throughput(study))}) {
    OutputFile file(std::filesystem::path(folder) / name);
    file.write(text.data(), text.size());
    file.commit();
  }
}

int plan(const Options& o) {
  const uint64_t program = program_size();  // before a folder's weights are mapped, too
  StudyOptions options;
  options.context = parse_count(o.context, "--context", kMostContext);
  options.batch = parse_count(o.batch, "--batch", kMostBatch);
  Found found = find_subject(o.model, o);
  options.subject = std::move(found.subject);
  for (CacheFormats* f : {&options.subject.deployed, &options.subject.own}) {
    if (!o.kv.empty()) f->kv = cache_format(o.kv);
    if (!o.state.empty()) f->state = o.state == "f16" ? NumberFormat::f16 : NumberFormat::f32;
  }
  const Options released;  // --weights, --kv and --state are the planned model's
  for (const std::string& name : o.against) options.against.push_back(find_subject(name, released).subject);
  if (parameters(options.subject.architecture).total > Count(10'000'000'000))
    for (const char* name : {"gpt-oss-120b", "qwen3.5-122b-a10b"})
      if (Subject other = find_subject(name, released).subject;
          other.architecture.name != options.subject.architecture.name)
        options.caches_against.push_back(std::move(other));
  const std::string machine = o.machine.empty() && path_exists(o.model) ? "this" : o.machine;
  if (!machine.empty()) {
    Threads threads(Threads::physical_cores());
    options.machine = find_chosen(machine, threads);
    if (found.resident) {
      found.resident->program = program;
      found.resident->threads = threads.count();
      options.resident = [r = *found.resident](const Architecture& a, const Workload& w) {
        return resident_memory(r, a, w);
      };
    }
  }

  const Study study = make_study(std::move(options));
  if (!o.svg.empty()) write_drawings(study, o.svg);
  const std::string out = o.json ? json_of(study) : text_of(study);
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)
    throw Error({.what = "cannot write to standard output"});
  return 0;
}

}  // namespace

std::function<int()> define_plan(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model,
                 "a checkpoint folder, a config.json, or a name: Nano, Super, Ultra, Lightning, gpt-oss-120b, "
                 "gpt-oss-20b, qwen3.5-122b-a10b, qwen3.5-27b")
      ->required();
  app.add_option("--context", o->context, "tokens of each sequence: 8192, 8k, 1M (default 8k)");
  app.add_option("--batch", o->batch, "sequences (default 1)");
  app.add_option("--weights", o->weights, "bf16, fp8, nvfp4 or mixed (default: a folder's own; nvfp4 for a name)")
      ->check(CLI::IsMember({"bf16", "fp8", "nvfp4", "mixed"}));
  app.add_option("--kv", o->kv, "keys and values: f32, bf16 or fp8 (default: as served on the machine)")
      ->check(CLI::IsMember({"f32", "bf16", "fp8"}));
  app.add_option("--state", o->state, "Mamba states: f32 or f16 (default f32)")->check(CLI::IsMember({"f32", "f16"}));
  app.add_option(
      "--machine", o->machine,
      "this (measured), H100, H200, B200, B300, GB200, DGX-Spark, RTX-5090, M3-Ultra, ... (default: this for "
      "a folder, all for a name)");
  app.add_option("--against", o->against, "models to compare with")->expected(1, 8);
  app.add_option("--svg", o->svg, "write cache.svg and throughput.svg into this folder");
  app.add_flag("--json", o->json, "one JSON object");
  return [o] { return plan(*o); };
}

}  // namespace nemotron::cli
