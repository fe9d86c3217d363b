// Reads generation_config.json with range checks.

#include "io/generation_config.h"

#include <fmt/format.h>

#include <limits>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/map.h"

namespace nemotron {
namespace {

constexpr uint64_t kMostBytes = 10'000'000;
constexpr index kMostInteger = std::numeric_limits<int32_t>::max();

struct Reader {
  const Json& json;
  const std::string& where;

  const Json* find(const char* name) const {
    const Json* value = json.find(name);
    return value && !value->is_null() ? value : nullptr;
  }
  [[noreturn]] void refuse(const char* name, const std::string& expected, const Json& found) const {
    throw Error({.what = fmt::format("bad '{}'", name),
                 .where = where,
                 .expected = expected,
                 .found = printable(found.dump(), 60)});
  }
  void read(const char* name, std::optional<double>& out, double low, double high) const {
    const Json* value = find(name);
    if (!value) return;
    if (!value->is_number() || !(value->number() >= low && value->number() <= high))
      refuse(name, fmt::format("a number from {} to {}", low, high), *value);
    out = value->number();
  }
  void read(const char* name, std::optional<index>& out, index low) const {
    const Json* value = find(name);
    if (!value) return;
    out = integer(name, *value, low);
  }
  index integer(const char* name, const Json& value, index low) const {
    if (!value.is_int() || value.integer() < low || value.integer() > kMostInteger)
      refuse(name, fmt::format("an integer from {} to {}", low, kMostInteger), value);
    return value.integer();
  }
};

}  // namespace

GenerationConfig parse_generation_config(const Json& json, const std::string& where,
                                         std::vector<std::string>& warnings) {
  if (!json.is_object())
    throw Error({.what = "no generation config", .where = where, .expected = "an object", .found = json.kind()});
  const Reader r{json, where};
  GenerationConfig c;
  if (const Json* ids = r.find("eos_token_id")) {
    const std::span<const Json> list = ids->is_array() ? std::span<const Json>(ids->array()) : std::span(ids, 1);
    if (list.size() > 1000) r.refuse("eos_token_id", "at most 1000 ids", Json("more"));
    for (const Json& id : list) c.eos_token_ids.push_back(int32_t(r.integer("eos_token_id", id, 0)));
  }
  if (const Json* value = r.find("do_sample")) {
    if (!value->is_bool()) r.refuse("do_sample", "true or false", *value);
    c.do_sample = value->boolean();
  }
  r.read("temperature", c.temperature, 0, 1000);
  r.read("top_k", c.top_k, 0);
  r.read("top_p", c.top_p, std::numeric_limits<double>::denorm_min(), 1);
  r.read("min_p", c.min_p, 0, 1);
  r.read("repetition_penalty", c.repetition_penalty, 1e-3, 1e3);
  r.read("max_new_tokens", c.max_new_tokens, 1);

  // Each with the value at which it does nothing.
  const std::pair<const char*, Json> unsupported[] = {{"encoder_repetition_penalty", 1.0},
                                                      {"no_repeat_ngram_size", 0},
                                                      {"typical_p", 1.0},
                                                      {"epsilon_cutoff", 0.0},
                                                      {"eta_cutoff", 0.0},
                                                      {"num_beams", 1},
                                                      {"penalty_alpha", 0.0},
                                                      {"guidance_scale", 1.0}};
  for (const auto& [name, neutral] : unsupported) {
    const Json* value = r.find(name);
    if (value && !(value->is_number() && value->number() == neutral.number()))
      warnings.push_back(fmt::format("{}: '{}' is not supported and not applied", where, name));
  }
  for (const char* name : {"bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id",
                           "forced_eos_token_id", "sequence_bias"})
    if (r.find(name)) warnings.push_back(fmt::format("{}: '{}' is not supported and not applied", where, name));
  return c;
}

GenerationConfig load_generation_config(const std::filesystem::path& folder, std::vector<std::string>& warnings) {
  const std::filesystem::path path = folder / "generation_config.json";
  if (!path_exists(path)) return {};
  return parse_generation_config(parse_json(read_file(path, kMostBytes), path.string()), path.string(), warnings);
}

}  // namespace nemotron
