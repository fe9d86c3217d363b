// `nemotron inspect`: what a checkpoint folder holds, from its headers alone.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "io/checkpoint.h"

namespace nemotron::cli {
namespace {

// ---- what is known ----

struct Release {
  const char* name;
  index hidden_size;
  size_t layers;
  index experts, moe_latent_size;
};
constexpr Release kReleases[] = {{"Nemotron 3 Nano 30B-A3B", 2688, 52, 128, 0},
                                 {"Nemotron 3 Super 120B-A12B", 4096, 88, 512, 1024},
                                 {"Nemotron 3 Ultra 550B-A55B", 8192, 108, 512, 2048}};

std::string family(const Config& c) {
  for (const Release& r : kReleases) {
    if (c.hidden_size != r.hidden_size || c.layers.size() != r.layers || c.n_routed_experts != r.experts ||
        c.moe_latent_size != r.moe_latent_size) {
      continue;
    }
    const bool nano_with_mtp = r.hidden_size == 2688 && !c.mtp_layers.empty();
    return nano_with_mtp ? "Nemotron 3.5 Lightning 30B-A3B" : r.name;
  }
  return "a Nemotron-H model of no published size";
}

constexpr LayerKind kKinds[] = {LayerKind::mamba, LayerKind::moe, LayerKind::attention, LayerKind::mlp};
const char* kind_name(LayerKind kind) {
  switch (kind) {
    case LayerKind::mamba:
      return "Mamba-2";
    case LayerKind::attention:
      return "attention";
    case LayerKind::moe:
      return "mixture of experts";
    case LayerKind::mlp:
      break;
  }
  return "dense MLP";
}

// ---- counting ----

struct Parameters {
  uint64_t total = 0, active = 0;  // active: what one token passes through
  void add(const Parameters& other, uint64_t times = 1) {
    total += times * other.total;
    active += times * other.active;
  }
};

// Adds up what visit_weights shows; routed experts count in part. Scales of a cache are no parameters.
class Counter {
 public:
  explicit Counter(const Config& c) : config_(c) {}
  template <class Member>
  void operator()(const Entry& entry, Member&) {
    if (entry.role == Role::kv_scale) return;
    uint64_t n = 1;
    for (const index size : entry.shape) n *= uint64_t(size);
    (entry.role == Role::expert ? experts_ : rest_) += n;
  }
  Parameters result() const {
    return {rest_ + experts_,
            rest_ + experts_ / uint64_t(config_.n_routed_experts) * uint64_t(config_.num_experts_per_tok)};
  }

 private:
  const Config& config_;
  uint64_t rest_ = 0, experts_ = 0;
};

struct Counts {
  std::map<LayerKind, Parameters> layer;  // of one layer of each kind in use
  std::map<LayerKind, uint64_t> layers;
  uint64_t embeddings = 0, head = 0;  // a tied head has none of its own
  Parameters model, mtp;              // without MTP; its block
};

Counts count(const Checkpoint& checkpoint) {
  const Config& c = checkpoint.config;
  Counts n;
  for (const LayerKind kind : c.layers) ++n.layers[kind];
  for (const auto& [kind, layers] : n.layers) {
    Counter counter(c);
    LayerWeights weights;
    visit_weights(c, kind, "", weights, counter);
    n.layer[kind] = counter.result();
    n.model.add(n.layer[kind], layers);
  }
  n.embeddings = uint64_t(c.vocab_size) * uint64_t(c.hidden_size);
  n.head = c.tie_word_embeddings ? 0 : n.embeddings;
  const uint64_t rest = n.embeddings + n.head + uint64_t(c.hidden_size);  // with norm_f
  n.model.add({rest, rest});
  if (checkpoint.has_mtp) {
    Counter counter(c);
    MtpWeights weights;
    visit_weights(c, weights, counter);
    n.mtp = counter.result();
  }
  return n;
}

// Tensors of one format, or of one format in one place of every layer.
struct Group {
  uint64_t matrices = 0, bytes = 0;  // scales included
};

struct Formats {
  std::map<Format, Group> total;                             // of the matrices
  std::map<std::pair<std::string, Format>, Group> by_place;  // "mixer.experts.*.up_proj"
  Group vectors;
};

// "backbone.layers.7.mixer.experts.3.up_proj" is one of many "mixer.experts.*.up_proj".
std::string place(const Binding& b) {
  std::string out;
  std::string_view rest = b.module();
  const bool mtp = rest.starts_with("mtp.layers.");
  for (const std::string_view prefix : {"backbone.layers.", "mtp.layers."})
    if (rest.starts_with(prefix)) rest = rest.substr(rest.find('.', prefix.size()) + 1);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (!out.empty()) out += '.';
    out += part.find_first_not_of("0123456789") == part.npos ? "*" : part;
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  return mtp ? "mtp: " + out : out;
}

Formats formats(const Checkpoint& c) {
  Formats out;
  for (const Binding& b : c.bindings) {
    if (!b.weight) continue;
    uint64_t bytes = b.bytes;
    for (const Tensor* t : {b.block_scales, b.scale, b.input_scale}) bytes += t ? t->bytes : 0;
    const auto add = [&](Group& g) { ++g.matrices, g.bytes += bytes; };
    if (b.entry.shape.size() == 2) {
      add(out.total[b.format]);
      add(out.by_place[{place(b), b.format}]);
    } else {
      add(out.vectors);
    }
  }
  return out;
}

// ---- showing ----

// 247222108160 as "247,222,108,160".
std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string draw_schedule(const std::string& pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i % 50 == 0)
      out += fmt::format("{}  {:4}  ", i ? "\n" : "", i);
    else if (i % 10 == 0)
      out += ' ';
    out += pattern[i];
  }
  return out + "\n";
}

double bits_per_weight(const Checkpoint& c, const Counts& n) {
  return 8.0 * double(c.tensors.total_bytes()) / double(n.model.total + n.mtp.total);
}

// Bytes of keys and values that a token adds in BF16, and of what a sequence keeps in its Mamba layers in F32.
uint64_t kv_bytes(const Config& c, const Counts& n) {
  const auto layers = n.layers.find(LayerKind::attention);
  return layers == n.layers.end() ? 0 : layers->second * uint64_t(c.kv_width()) * 2 * 2;
}
uint64_t mamba_bytes(const Config& c, const Counts& n) {
  const auto layers = n.layers.find(LayerKind::mamba);
  if (layers == n.layers.end()) return 0;
  return layers->second * 4 * uint64_t(c.mamba_inner() * c.ssm_state_size + (c.conv_kernel - 1) * c.conv_channels());
}

std::string text_report(const Checkpoint& c, bool list_tensors) {
  const Config& config = c.config;
  const Counts n = count(c);
  const Formats f = formats(c);
  const auto row = [](const std::string& name, uint64_t number, const std::string& note = "") {
    return fmt::format("  {:<36}{:>20}{}{}\n", name, grouped(number), note.empty() ? "" : "  ", note);
  };
  std::string out = fmt::format("{}: {}\n", printable(c.folder.string()), family(config));
  out +=
      fmt::format("  {} layers, hidden {}, vocabulary {}, context {}{}\n\n", config.layers.size(), config.hidden_size,
                  grouped(uint64_t(config.vocab_size)), grouped(uint64_t(config.max_position_embeddings)),
                  config.tie_word_embeddings ? ", tied embeddings" : "");

  out += "schedule\n" + draw_schedule(config.pattern());
  for (const LayerKind kind : kKinds)
    if (n.layers.count(kind)) out += fmt::format("  {} {} x {}\n", char(kind), n.layers.at(kind), kind_name(kind));
  if (!config.mtp_layers.empty()) {
    out += fmt::format("  MTP block {}{}\n",
                       std::string(reinterpret_cast<const char*>(config.mtp_layers.data()), config.mtp_layers.size()),
                       c.has_mtp ? "" : ", promised but absent");
  }
  if (n.layers.count(LayerKind::moe)) {
    out += fmt::format(
        "  experts: {} of {} a token, {} wide{}{}\n", config.num_experts_per_tok, config.n_routed_experts,
        config.moe_intermediate_size, config.moe_latent_size ? fmt::format(", latent {}", config.moe_latent_size) : "",
        config.n_shared_experts ? fmt::format(", shared {}", config.moe_shared_expert_intermediate_size) : "");
  }

  out += "\nparameters\n";
  for (const LayerKind kind : kKinds) {
    if (!n.layers.count(kind)) continue;
    const Parameters& p = n.layer.at(kind);
    out += row(fmt::format("per {} layer", kind_name(kind)), p.total,
               p.active != p.total ? fmt::format("{} active", grouped(p.active)) : "");
  }
  out += row("embeddings", n.embeddings) + row("head", n.head, n.head ? "" : "the embeddings again");
  out += row("model", n.model.total);
  if (c.has_mtp) out += row("MTP block", n.mtp.total) + row("model and MTP block", n.model.total + n.mtp.total);
  out += row("active a token", n.model.active,
             fmt::format("{:.1f} %", 100.0 * double(n.model.active) / double(n.model.total)));
  out += row("  without the input embedding", n.model.active - (n.head ? n.embeddings : 0));
  out += row("  without embedding and head", n.model.active - n.embeddings - n.head);

  out += "\nformats\n";
  const auto group = [](const std::string& name, const char* format, const Group& g) {
    return fmt::format("  {:<36}{:<6}{:>14}{:>20} bytes\n", name, format, grouped(g.matrices), grouped(g.bytes));
  };
  for (const auto& [format, g] : f.total) out += group("matrices", format_name(format), g);
  out += group("norms, biases, other vectors", "", f.vectors) + "\nmodules\n";
  for (const auto& [key, g] : f.by_place) out += group(key.first, format_name(key.second), g);

  out += fmt::format("\n{} tensors / {} bytes in {} file{}, {:.2f} bits a weight\n",
                     grouped(c.tensors.tensors().size()), grouped(c.tensors.total_bytes()), c.tensors.files().size(),
                     c.tensors.files().size() == 1 ? "" : "s", bits_per_weight(c, n));
  out += fmt::format("a sequence keeps {} bytes a token (BF16 keys and values) and {} bytes (float32 Mamba state)\n",
                     grouped(kv_bytes(config, n)), grouped(mamba_bytes(config, n)));
  out += c.warnings.empty() ? "anomalies: none in the headers\n" : "anomalies:\n";
  for (const std::string& warning : c.warnings) out += "  " + printable(warning, 600) + "\n";

  if (list_tensors) {
    out += "\n";
    for (const Tensor& t : c.tensors.tensors()) {
      fmt::format_to(std::back_inserter(out), "{} {} {} {} bytes, {}\n", printable(t.name), dtype_name(t.dtype),
                     shape_text(t.shape), t.bytes, c.tensors.files()[t.file].filename().string());
    }
  }
  return out;
}

Json json_list(const std::vector<std::string>& lines) {
  Json::Array out;
  for (const std::string& line : lines) out.emplace_back(line);
  return out;
}

std::string json_report(const Checkpoint& c, bool list_tensors) {
  const Config& config = c.config;
  const Counts n = count(c);
  const Formats f = formats(c);

  Json layers, per_layer;
  for (const LayerKind kind : kKinds) {
    if (!n.layers.count(kind)) continue;
    layers.set(std::string(1, char(kind)), n.layers.at(kind));
    per_layer.set(std::string(1, char(kind)), n.layer.at(kind).total);
  }
  Json parameters;
  parameters.set("total", n.model.total + n.mtp.total).set("model", n.model.total).set("mtp", n.mtp.total);
  parameters.set("active", n.model.active);
  parameters.set("active_without_input_embedding", n.model.active - (n.head ? n.embeddings : 0));
  parameters.set("active_without_embedding_and_head", n.model.active - n.embeddings - n.head);
  parameters.set("embeddings", n.embeddings).set("head", n.head).set("per_layer", per_layer);

  Json formats_json;
  for (const auto& [format, g] : f.total) {
    Json entry;
    formats_json.set(format_name(format), entry.set("matrices", g.matrices).set("bytes", g.bytes));
  }
  Json::Array modules;
  for (const auto& [key, g] : f.by_place) {
    Json entry;
    entry.set("module", key.first)
        .set("format", format_name(key.second))
        .set("matrices", g.matrices)
        .set("bytes", g.bytes);
    modules.push_back(std::move(entry));
  }

  Json out;
  out.set("folder", c.folder.string()).set("family", family(config)).set("schedule", config.pattern());
  out.set("mtp_schedule",
          std::string(reinterpret_cast<const char*>(config.mtp_layers.data()), config.mtp_layers.size()));
  out.set("mtp_present", c.has_mtp).set("layers", layers);
  out.set("hidden_size", config.hidden_size).set("vocab_size", config.vocab_size);
  out.set("max_position_embeddings", config.max_position_embeddings).set("parameters", parameters);
  out.set("tensors", uint64_t(c.tensors.tensors().size())).set("bytes", c.tensors.total_bytes());
  out.set("files", uint64_t(c.tensors.files().size())).set("bits_per_weight", bits_per_weight(c, n));
  out.set("formats", formats_json).set("modules", std::move(modules));
  out.set("kv_bytes_per_token_bf16", kv_bytes(config, n)).set("mamba_state_bytes_f32", mamba_bytes(config, n));
  out.set("anomalies", json_list(c.warnings));
  if (list_tensors) {
    Json::Array list;
    for (const Tensor& t : c.tensors.tensors()) {
      Json::Array shape;
      for (const index size : t.shape) shape.emplace_back(size);
      Json entry;
      entry.set("name", t.name).set("dtype", dtype_name(t.dtype)).set("shape", std::move(shape)).set("bytes", t.bytes);
      entry.set("file", c.tensors.files()[t.file].filename().string());
      list.push_back(std::move(entry));
    }
    out.set("tensor_list", std::move(list));
  }
  return out.dump() + "\n";
}

struct Options {
  std::string folder;
  bool tensors = false, json = false;
};

int inspect(const Options& options) {
  const Checkpoint c = open_checkpoint(options.folder);
  const std::string out = options.json ? json_report(c, options.tensors) : text_report(c, options.tensors);
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)
    throw Error({.what = "cannot write to standard output"});
  return 0;
}

}  // namespace

std::function<int()> define_inspect(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder, "a checkpoint folder")->required();
  app.add_flag("--tensors", options->tensors, "list every tensor");
  app.add_flag("--json", options->json, "one JSON object");
  return [options] { return inspect(*options); };
}

}  // namespace nemotron::cli
