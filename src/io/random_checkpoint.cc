// What goes into a made folder, in which order, and how an interrupted run is recognised.

#include "io/random_checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "io/quantization_record.h"
#include "io/random_tokenizer.h"
#include "io/random_weights.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = ".make-random";     // in a folder that is being made: what it is going to be
constexpr const char* kContent = "made weights 1";  // another number when the same options begin to give other bytes

// ---- the config ----

// The text model of a multimodal wrapper's config, or the config itself.
const Json& text_config(const Json& config) {
  for (const char* inner : {"llm_config", "text_config"})
    if (const Json* text = config.find(inner); text && text->is_object()) return text_config(*text);
  return config;
}

void remove(Json& object, std::string_view key) {
  std::erase_if(object.object(), [&](const Json::Member& m) { return m.first == key; });
}

double time_step(const Json& config, const std::string& where, const char* field, double usual) {
  const Json* value = config.find(field);
  if (!value || value->is_null()) return usual;
  if (value->is_number() && value->number() > 0 && value->number() <= 100) return value->number();
  throw Error({.what = fmt::format("bad '{}'", field),
               .where = where,
               .expected = "a number above 0, at most 100",
               .found = printable(value->dump(), 60)});
}

std::string pretty(const Json& value, size_t depth = 0) {
  const bool object = value.is_object();
  if ((!object && !value.is_array()) || (object ? value.object().empty() : value.array().empty())) return value.dump();
  const std::string indent(2 * depth + 2, ' ');
  std::string out(1, object ? '{' : '[');
  const char* comma = "";
  const auto item = [&](const std::string& text) {
    out += fmt::format("{}\n{}{}", comma, indent, text);
    comma = ",";
  };
  if (object)
    for (const auto& [key, v] : value.object()) item(json_quote(key) + ": " + pretty(v, depth + 1));
  else
    for (const Json& v : value.array()) item(pretty(v, depth + 1));
  return out + "\n" + indent.substr(2) + (object ? "}" : "]");
}

// ---- the folder ----

void write_file(const fs::path& path, const std::string& text) {
  OutputFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

uint64_t free_bytes(fs::path path) {
  path = fs::absolute(path);
  while (!path_exists(path) && path.has_relative_path()) path = path.parent_path();
  std::error_code error;
  const fs::space_info space = fs::space(path, error);
  return error ? ~uint64_t{0} : space.available;  // a file system that does not say will say so when it is full
}

// The folder while it is being made. A marker says what it is to become; one process at a time holds it.
class Site {
 public:
  // `plan` is what distinguishes one call from another. Refuses a folder that holds anything else; nothing is changed.
  Site(fs::path folder, std::string plan)
      : folder_(std::move(folder)), marker_(folder_ / kMarker), plan_(std::move(plan)), begun_(path_exists(marker_)) {
    if (!begun_ && path_exists(folder_)) refuse_unless_empty();
    if (begun_ && read_file(marker_, 100'000'000) != plan_) {
      throw Error({.what = "holds an unfinished folder of another config or other options",
                   .where = folder_.string(),
                   .hint = "give the options of then, or remove it"});
    }
  }
  ~Site() {
    if (lock_ >= 0) close(lock_);
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  bool begun() const { return begun_; }  // an earlier run was interrupted

  void begin() {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) throw Error({.what = "cannot make the folder", .where = folder_.string(), .found = error.message()});
    if (!begun_) write_file(marker_, plan_);
    lock_ = open(marker_.c_str(), O_RDONLY | O_CLOEXEC);
    if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0)
      throw Error({.what = "another run is writing this folder", .where = folder_.string()});
    if (begun_) remove_parts();
  }

  void finish() {
    std::error_code ignored;
    fs::remove(marker_, ignored);
  }

 private:
  void refuse_unless_empty() const {
    std::error_code error;
    const bool empty = fs::is_directory(folder_, error) && fs::is_empty(folder_, error);
    if (empty && !error) return;
    throw Error({.what = "exists already",
                 .where = folder_.string(),
                 .expected = "a name that is free, or an empty folder",
                 .found = fs::is_directory(folder_, error) ? "a folder with files in it" : "a file",
                 .hint = "nothing is overwritten; remove it or choose another name"});
  }

  // What a run that was killed left of the shard it was writing.
  void remove_parts() const {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("model") && name.ends_with(".part")) fs::remove(entry.path());
    }
  }

  const fs::path folder_, marker_;
  const std::string plan_;
  const bool begun_;
  int lock_ = -1;
};

// ---- the files beside the weights ----

constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json",      "tokenizer_config.json",     "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "additional_chat_templates", "generation_config.json"};

// The ids that end an answer belong to the tokenizer, and come with it.
void copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : kTokenizerFiles) {
    if (!path_exists(from / name)) continue;
    std::error_code error;
    fs::copy(from / name, to / name, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
    if (error) throw Error({.what = "cannot copy", .where = (from / name).string(), .found = error.message()});
  }
}

Json generation_config(const Json& json, const Config& config, bool family_ids) {
  Json out;
  if (config.bos_token_id >= 0) out.set("bos_token_id", config.bos_token_id);
  std::vector<int32_t> stops = config.eos_token_ids;
  if (family_ids && std::find(stops.begin(), stops.end(), 11) == stops.end()) stops.push_back(11);  // <|im_end|>
  out.set("do_sample", true).set("eos_token_id", Json::Array(stops.begin(), stops.end()));
  if (config.pad_token_id >= 0) out.set("pad_token_id", config.pad_token_id);
  // Nano's release says 1.0, the later ones 0.95.
  const bool first = config.mtp_layers.empty();
  out.set("temperature", 1.0).set("top_p", first ? 1.0 : 0.95);
  if (const Json* version = json.find("transformers_version")) out.set("transformers_version", *version);
  return out;
}

void write_tokenizer(const fs::path& folder, const Json& json, const Config& config, const fs::path& source,
                     std::vector<std::string>& warnings) {
  const bool made = source.empty() && config.vocab_size >= kSmallestVocabulary;
  if (made) {
    write_file(folder / "tokenizer.json", random_tokenizer_json(config.vocab_size));
    write_file(folder / "tokenizer_config.json",
               pretty(random_tokenizer_config(config.max_position_embeddings)) + "\n");
    write_file(folder / "chat_template.jinja", chat_template_text());
  } else if (source.empty()) {
    warnings.push_back(fmt::format("a vocabulary of {} is too small for a tokenizer, which takes {}: there is none",
                                   config.vocab_size, kSmallestVocabulary));
  } else {
    copy_tokenizer(source, folder);
  }
  if (!path_exists(folder / "generation_config.json"))
    write_file(folder / "generation_config.json", pretty(generation_config(json, config, made)) + "\n");
}

}  // namespace

Json slice_config(const Json& config, const std::string& where, index first, index last) {
  const index count = index(parse_config(config, where).layers.size());
  if (first < 0 || first > last || last >= count) {
    throw Error({.what = "no such layers",
                 .where = where,
                 .expected = fmt::format("A-B with 0 <= A <= B <= {}", count - 1),
                 .found = fmt::format("{}-{}", first, last)});
  }
  Json out = config;
  const auto begin = [first](auto& list) { return list.begin() + first; };
  for (const char* field : {"layers_block_type", "layer_types", "hybrid_override_pattern"}) {
    const Json* value = out.find(field);
    if (value && value->is_string() && index(value->string().size()) == count)
      out.set(field, value->string().substr(size_t(first), size_t(last - first + 1)));
    else if (value && value->is_array() && index(value->array().size()) == count)
      out.set(field, Json::Array(begin(value->array()), begin(value->array()) + (last - first + 1)));
    else
      remove(out, field);  // it contradicts the one that is used, or is null
  }
  if (out.find("num_hidden_layers")) out.set("num_hidden_layers", last - first + 1);
  for (const char* field : {"num_nextn_predict_layers", "mtp_layers_block_type", "mtp_hybrid_override_pattern"})
    remove(out, field);
  return out;
}

RandomCheckpoint make_random_checkpoint(const Json& config_file, const std::string& where, const fs::path& out,
                                        const RandomCheckpointOptions& options, Threads& threads,
                                        const std::function<bool(const RandomCheckpointProgress&)>& step) {
  const Config whole = parse_config(config_file, where);
  Json json = text_config(config_file);
  const index first = options.layers ? options.layers->first : 0;
  if (options.layers) json = slice_config(json, where, first, options.layers->second);
  for (const char* field : {"quantization_config", "auto_map"}) remove(json, field);  // of another folder's files
  if (!json.find("model_type")) json.set("model_type", "nemotron_h");
  if (!json.find("architectures")) json.set("architectures", Json::Array{"NemotronHForCausalLM"});
  const Config config = parse_config(json, where);
  const double dt_min = time_step(json, where, "time_step_min", 0.001);
  const double dt_max = std::max(dt_min, time_step(json, where, "time_step_max", 0.1));

  // The whole model's MTP block counts when its release is looked up, not when a slice is written.
  const Precision precision(whole, options.recipe, first);
  const RandomWeights weights(whole, options.recipe, options.seed, first, dt_min, dt_max);
  std::vector<Tensor> tensors;
  std::vector<RandomWeights::Draw> draws;
  RandomCheckpoint result;
  visit_stored(config, precision, [&](const Stored& s) {
    result.parameters += s.parameters();
    for (size_t part = 0; part < s.tensors.size(); ++part) {
      const StoredTensor& t = s.tensors[part];
      tensors.push_back({t.name, *find_dtype(t.dtype), t.shape, 0, 0, t.bytes});
      draws.push_back(weights.draw(s, part));
    }
  });
  const ShardWriter writer(out, std::move(tensors), options.shard_bytes);
  result.tensors = draws.size();
  result.bytes = writer.total_bytes();
  result.shards = writer.shards();

  Json plan;
  plan.set("content", kContent).set("format", recipe_name(options.recipe)).set("first_layer", first);
  plan.set("seed", options.seed).set("headers_only", options.headers_only).set("shard_bytes", options.shard_bytes);
  plan.set("tokenizer", options.tokenizer.string()).set("config", json);
  Site site(out, plan.dump());
  // The index and the records of quantization name every tensor, the tokenizer every entry; then the shards.
  uint64_t missing = 1'000'000 + 600 * result.tensors + 40 * uint64_t(config.vocab_size);
  std::vector<bool> there(writer.shards());
  for (size_t s = 0; s < writer.shards(); ++s) {
    there[s] = site.begun() && writer.has(s);
    result.kept += there[s];
    if (!there[s]) missing += writer.file_bytes(s);
  }
  if (const uint64_t room = free_bytes(out); !options.headers_only && missing > room) {
    throw Error({.what = "not enough room on the disk",
                 .where = out.string(),
                 .expected = fmt::format("{} MB", missing / 1'000'000 + 1),
                 .found = fmt::format("{} MB", room / 1'000'000),
                 .hint = "--layers takes a part of the model, --headers-only no room"});
  }
  site.begin();

  RandomCheckpointProgress progress{.done = 0, .total = result.bytes, .shard = 0, .shards = writer.shards()};
  for (size_t s = 0; s < writer.shards(); ++s) {
    progress.shard = s;
    if (there[s]) {
      for (const Tensor& t : writer.tensors()) progress.done += t.file == s ? t.bytes : 0;
      continue;
    }
    if (options.headers_only) {
      writer.write_hole(s);
      continue;
    }
    const auto fill = [&](size_t i, index begin, index end, uint8_t* to) { weights.fill(draws[i], begin, end, to); };
    const auto count = [&](uint64_t bytes) {
      progress.done += bytes;
      return step(progress);
    };
    if (!writer.write(s, fill, threads, count)) return result;
  }
  writer.write_index();
  write_tokenizer(out, json, config, options.tokenizer, result.warnings);
  const QuantizationRecord record = quantization_record(config, precision);
  if (!record.file.is_null()) write_file(out / "hf_quant_config.json", pretty(record.file) + "\n");
  if (!record.config.is_null()) json.set("quantization_config", record.config);
  write_file(out / "config.json", pretty(json) + "\n");
  site.finish();
  result.finished = true;
  return result;
}

}  // namespace nemotron
