// The records, in the order and with the producers of the releases.

#include "io/quantization_record.h"

#include <string>
#include <utility>

namespace nemotron {
namespace {

std::string module_of(const Entry& entry) { return entry.name.substr(0, entry.name.rfind('.')); }

bool is_linear(Role role) {
  return role == Role::in || role == Role::out || role == Role::latent || role == Role::expert || role == Role::head;
}

// Modules by what became of them.
struct Modules {
  std::vector<std::pair<std::string, Format>> quantized;
  std::vector<std::string> plain;         // Linears of the backbone
  std::vector<std::string> gates, convs;  // never quantized, and listed as such
};

Modules modules(const Config& config, const Precision& precision) {
  Modules m;
  visit_stored(config, precision, [&](const Stored& s) {
    if (s.format == Format::fp8 || s.format == Format::nvfp4)
      m.quantized.emplace_back(module_of(s.entry), s.format);
    else if (s.mtp)
      return;
    else if (is_linear(s.entry.role))
      m.plain.insert(s.entry.role == Role::head ? m.plain.begin() : m.plain.end(), module_of(s.entry));
    else if (s.entry.role == Role::router)
      m.gates.push_back(module_of(s.entry));
    else if (s.entry.role == Role::conv && s.entry.name.ends_with(".weight"))
      m.convs.push_back(module_of(s.entry));
  });
  return m;
}

Json list(const std::vector<std::string>& names) { return Json::Array(names.begin(), names.end()); }

Json producer(const Precision& precision) {
  const char* version = precision.map() == Precision::Map::nano        ? "0.29.0"
                        : precision.map() == Precision::Map::lightning ? "0.44.0rc5"
                                                                       : "0.43.0.dev63+g449e700f9";
  return Json().set("name", "modelopt").set("version", version);
}

// "weights" or "input_activations" of a group.
Json numbers(Format format) {
  Json out;
  out.set("dynamic", false).set("num_bits", format == Format::fp8 ? 8 : 4).set("type", "float");
  if (format == Format::nvfp4) out.set("group_size", 16);
  return out;
}

Json group(Format format, bool weight_only, Json targets) {
  Json out;
  if (!weight_only) out.set("input_activations", numbers(format));
  return out.set("weights", numbers(format)).set("targets", std::move(targets));
}

Json kv_cache_scheme() { return Json().set("dynamic", false).set("num_bits", 8).set("type", "float"); }

QuantizationRecord finish(const Precision& precision, Json quantization, Json config) {
  Json file;
  file.set("producer", producer(precision)).set("quantization", std::move(quantization));
  if (!config.is_null()) config.set("producer", producer(precision)).set("quant_method", "modelopt");
  return {std::move(file), std::move(config)};
}

QuantizationRecord by_rule(const Config& config, const Precision& precision, Modules m) {
  std::vector<std::string> excluded = std::move(m.plain);
  const bool fp8 = precision.recipe() == Recipe::fp8;
  if (fp8) excluded.insert(excluded.end(), m.gates.begin(), m.gates.end());
  excluded.insert(excluded.end(), m.convs.begin(), m.convs.end());
  if (!config.mtp_layers.empty()) excluded.push_back("mtp*");

  Json file, in_config;
  file.set("quant_algo", fp8 ? "FP8" : "NVFP4").set("kv_cache_quant_algo", "FP8");
  if (!fp8) file.set("group_size", 16);
  file.set("exclude_modules", list(excluded));
  if (fp8) {
    Json groups;
    groups.set("group_0", group(Format::fp8, false, Json::Array{"Linear"}));
    in_config.set("config_groups", groups).set("ignore", list(excluded)).set("quant_algo", "FP8");
    in_config.set("kv_cache_scheme", kv_cache_scheme());
  }
  return finish(precision, std::move(file), std::move(in_config));
}

QuantizationRecord by_map(const Precision& precision, const Modules& m) {
  Json::Object layers;
  Json::Array fp8, nvfp4;
  for (const auto& [name, format] : m.quantized) {
    Json entry;
    entry.set("quant_algo", format == Format::fp8 ? "FP8" : precision.weight_only() ? "W4A16_NVFP4" : "NVFP4");
    if (format == Format::nvfp4) entry.set("group_size", 16);
    layers.emplace_back(name, std::move(entry));
    (format == Format::fp8 ? fp8 : nvfp4).emplace_back(name);
  }
  Json file, groups, in_config;
  file.set("quant_algo", "MIXED_PRECISION");
  file.set("kv_cache_quant_algo", precision.cache_scales() ? Json("FP8") : Json());
  file.set("quantized_layers", layers);
  groups.set("group_0", group(Format::fp8, false, std::move(fp8)));
  groups.set("group_1", group(Format::nvfp4, precision.weight_only(), std::move(nvfp4)));
  in_config.set("config_groups", std::move(groups)).set("quantized_layers", std::move(layers));
  in_config.set("ignore", Json::Array{}).set("quant_algo", "MIXED_PRECISION");
  if (precision.cache_scales()) in_config.set("kv_cache_scheme", kv_cache_scheme());
  return finish(precision, std::move(file), std::move(in_config));
}

}  // namespace

QuantizationRecord quantization_record(const Config& config, const Precision& precision) {
  if (precision.recipe() == Recipe::bf16) return {};
  Modules m = modules(config, precision);
  const bool rule = precision.recipe() == Recipe::fp8 || precision.map() == Precision::Map::nano;
  return rule ? by_rule(config, precision, std::move(m)) : by_map(precision, m);
}

}  // namespace nemotron
