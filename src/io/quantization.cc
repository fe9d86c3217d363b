// The cross-check of ModelOpt's quantization records: names, containers of experts, exclusions with wildcards.

#include "io/quantization.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/map.h"
#include "io/checkpoint.h"

namespace nemotron {
namespace {

constexpr uint64_t kMostBytes = 100'000'000;
constexpr int64_t kMostSteps = 200'000'000;  // of matching wildcards, so that a hostile list costs a second at most

// What a record says of the formats; nothing for a module it does not mention.
struct Record {
  std::vector<std::string> modules;            // "quantized_layers"
  std::vector<std::optional<Format>> formats;  // of these
  NameIndex by_name;
  std::optional<Format> uniform;  // of every Linear that is not excluded
  std::vector<std::string> excluded, wildcards;
  NameIndex by_excluded;
};

// Empty for an algorithm that is none of ours.
std::optional<Format> algorithm(const Json* name) {
  if (!name || !name->is_string()) return {};
  if (name->string() == "FP8") return Format::fp8;
  if (name->string() == "NVFP4" || name->string() == "W4A16_NVFP4") return Format::nvfp4;
  return {};
}

bool damaged(const std::string& name) { return name.find('\0') != name.npos; }

// Does `text` match a pattern in which * stands for anything? Greedy with one way back; counts its steps off `budget`.
bool matches(std::string_view pattern, std::string_view text, int64_t& budget) {
  size_t p = 0, t = 0, star = pattern.npos, retry = 0;
  while (t < text.size()) {
    if (--budget < 0) return false;
    if (p < pattern.size() && pattern[p] == '*')
      star = p++, retry = t;
    else if (p < pattern.size() && pattern[p] == text[t])
      ++p, ++t;
    else if (star != pattern.npos)
      p = star + 1, t = ++retry;
    else
      return false;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// False if names are damaged, as ModelOpt 0.46 and 0.47 write them: they then say nothing.
bool read_record(const Json& json, Record& r) {
  if (const Json* layers = json.find("quantized_layers"); layers && layers->is_object()) {
    for (const auto& [name, entry] : layers->object()) {
      if (damaged(name)) return false;
      r.modules.push_back(release_name(name));
      r.formats.push_back(algorithm(entry.find("quant_algo")));
    }
  }
  for (const char* key : {"exclude_modules", "ignore"}) {
    const Json* list = json.find(key);
    if (!list || !list->is_array()) continue;
    for (const Json& item : list->array()) {
      if (!item.is_string()) continue;
      if (damaged(item.string())) return false;
      const std::string name = release_name(item.string());
      (name.find('*') == name.npos ? r.excluded : r.wildcards).push_back(name);
    }
  }
  r.uniform = algorithm(json.find("quant_algo"));
  r.by_name = NameIndex({r.modules.begin(), r.modules.end()});
  r.by_excluded = NameIndex({r.excluded.begin(), r.excluded.end()});
  return true;
}

// The format that the record gives a module; nothing where it is left as it was.
std::optional<Format> declared(const Record& r, std::string_view module, int64_t& budget) {
  size_t at = r.by_name.find(module);
  if (const size_t experts = module.rfind(".experts."); at == NameIndex::kNone && experts != module.npos)
    at = r.by_name.find(module.substr(0, experts + 8));  // one entry for all of a layer's experts
  if (at != NameIndex::kNone) return r.formats[at];
  if (!r.uniform || r.by_excluded.find(module) != NameIndex::kNone) return {};
  for (const std::string& pattern : r.wildcards)
    if (matches(pattern, module, budget)) return {};
  return r.uniform;
}

bool is_linear(Role role) {
  return role == Role::in || role == Role::out || role == Role::latent || role == Role::expert || role == Role::head;
}

void compare(const Record& r, const std::string& source, std::span<const Binding> bindings,
             std::vector<std::string>& warnings) {
  const auto named = [](std::optional<Format> f) { return f ? format_name(*f) : "no quantization"; };
  const auto scaled = [](Format f) { return f == Format::fp8 || f == Format::nvfp4; };
  int64_t budget = kMostSteps;
  size_t differing = 0;
  std::string first;
  for (const Binding& b : bindings) {
    if (!is_linear(b.entry.role) || !b.weight) continue;
    const std::optional<Format> says = declared(r, b.module(), budget);
    if (says ? *says == b.format : !scaled(b.format)) continue;
    if (differing++ == 0)
      first = fmt::format("{} says {}, its tensors {}", b.module(), named(says), format_name(b.format));
  }
  if (budget < 0)
    warnings.push_back(source + ": too many wildcards, not compared with the tensors");
  else if (differing)
    warnings.push_back(
        fmt::format("{}: {} modules differ from the tensors, which decide ({})", source, differing, first));
}

}  // namespace

void check_quantization(const std::filesystem::path& folder, const Json& config, std::span<const Binding> bindings,
                        std::vector<std::string>& warnings) {
  const std::filesystem::path path = folder / "hf_quant_config.json";
  std::string source = "config.json: quantization_config";
  Json file;
  const Json* record = config.find("quantization_config");
  if (path_exists(path)) {
    source = "hf_quant_config.json";
    try {
      file = parse_json(read_file(path, kMostBytes), path.string());
    } catch (const Error& e) {
      warnings.push_back(fmt::format("{}; formats are read from the tensors", e.what()));
      return;
    }
    record = file.find("quantization");
  }
  if (!record || !record->is_object()) return;
  Record r;
  if (read_record(*record, r))
    compare(r, source, bindings, warnings);
  else
    warnings.push_back(
        source +
        ": the names of modules are damaged (ModelOpt 0.46 and 0.47 do that); formats are read from the tensors");
}

}  // namespace nemotron
