// Matches the tensors of a folder with the weight table, and fills in the model.

#include "io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/read_ahead.h"
#include "io/quantization.h"

namespace nemotron {
namespace {

constexpr uint64_t kMostConfig = 100'000'000;  // bytes; Super NVFP4's is 7 MB
constexpr std::string_view kWrapper = "language_model.";

bool is_scalar(const Shape& s) { return s.empty() || s == Shape{1}; }

std::optional<Format> plain_format(Dtype d) {
  switch (d) {
    case Dtype::f32:
      return Format::f32;
    case Dtype::bf16:
      return Format::bf16;
    case Dtype::f16:
      return Format::f16;
    default:
      return {};
  }
}

// "41 missing (a, b, c, ...)"
std::string counted(const std::vector<std::string>& names, const char* what) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < 3; ++i) list += (i ? ", " : "") + printable(names[i], 70);
  return fmt::format("{} {} ({}{})", names.size(), what, list, names.size() > 3 ? ", ..." : "");
}

// Hands out the tensors of a folder under their release names, and remembers which were taken.
class Binder {
 public:
  Binder(const Config& config, const Safetensors& tensors) : config_(config), tensors_(tensors) {
    const std::vector<Tensor>& all = tensors.tensors();
    names_.reserve(all.size());
    for (const Tensor& t : all) names_.push_back(release_name(t.name));
    by_name_ = NameIndex({names_.begin(), names_.end()});
    if (const size_t twice = by_name_.duplicate(); twice != NameIndex::kNone) {
      throw Error({.what = "two tensors are the same member of the model",
                   .where = tensors.where(all[twice]),
                   .found = fmt::format("'{}' too", printable(all[by_name_.find(names_[twice])].name))});
    }
    taken_.resize(all.size());
  }

  bool any_starts_with(std::string_view prefix) const {
    return std::any_of(names_.begin(), names_.end(), [&](const std::string& n) { return n.starts_with(prefix); });
  }

  const Tensor* take(const std::string& name) {
    const size_t place = by_name_.find(name);
    if (place == NameIndex::kNone) return nullptr;
    taken_[place] = true;
    return &tensors_.tensors()[place];
  }

  Binding bind(const Entry& entry, bool is_matrix) {
    Binding b{.entry = entry};
    b.weight = take(entry.name);
    if (b.weight)
      b.bytes = b.weight->bytes;
    else if (entry.role == Role::expert && bind_stacked(b))
      return b;
    if (!b.weight) {
      if (entry.required) missing_.push_back(entry.name);
    } else if (entry.role == Role::kv_scale) {
      check_scalar(*b.weight);
      b.format = float_format(*b.weight);
    } else if (is_matrix && b.weight->dtype == Dtype::u8) {
      bind_nvfp4(b);
    } else if (is_matrix && b.weight->dtype == Dtype::f8_e4m3) {
      bind_fp8(b);
    } else {
      b.format = float_format(*b.weight);
      check_shape(*b.weight, entry.shape);
    }
    return b;
  }

  // What nobody took. In a wrapper's folder, tensors outside the text model are somebody else's.
  void finish(std::vector<std::string>& warnings) const {
    std::vector<std::string> leftover;
    size_t foreign = 0;
    for (size_t i = 0; i < names_.size(); ++i) {
      const std::string& name = tensors_.tensors()[i].name;
      if (taken_[i]) continue;
      if (config_.multimodal && !name.starts_with(kWrapper))
        ++foreign;
      else
        leftover.push_back(name);
    }
    if (foreign)
      warnings.push_back(fmt::format("{} tensors of other parts of a multimodal model are not used", foreign));
    if (missing_.empty() && leftover.empty()) return;
    std::string found;
    if (!missing_.empty()) found = counted(missing_, "missing");
    if (!leftover.empty()) found += (found.empty() ? "" : " and ") + counted(leftover, "leftover");
    const bool mtp = !leftover.empty() && config_.mtp_layers.empty() && release_name(leftover[0]).starts_with("mtp.");
    throw Error({.what = "the tensors are not those that config.json promises",
                 .where = tensors_.files()[0].parent_path().string(),
                 .found = found,
                 .hint = mtp ? "num_nextn_predict_layers promises no MTP block"
                             : "weights and config.json may be of different models; fetch the folder again"});
  }

 private:
  Format float_format(const Tensor& t) const {
    if (const std::optional<Format> format = plain_format(t.dtype)) return *format;
    throw Error({.what = "dtype is not supported here",
                 .where = tensors_.where(t),
                 .expected = "BF16, F16 or F32",
                 .found = dtype_name(t.dtype)});
  }

  void check_shape(const Tensor& t, const Shape& expected) const {
    if (t.shape == expected) return;
    throw Error({.what = "shape differs from what config.json implies",
                 .where = tensors_.where(t),
                 .expected = shape_text(expected),
                 .found = shape_text(t.shape)});
  }

  void check_scalar(const Tensor& t) const {
    if (is_scalar(t.shape)) return float_format(t), void();
    throw Error({.what = "not one scale a tensor",
                 .where = tensors_.where(t),
                 .expected = "[] or [1]",
                 .found = shape_text(t.shape)});
  }

  const Tensor* take_scale(const Binding& b, const char* suffix, bool required = true) {
    const std::string name = std::string(b.module()) + suffix;
    const Tensor* t = take(name);
    if (!t && required) missing_.push_back(name);
    return t;
  }

  const Tensor* take_scalar(const Binding& b, const char* suffix, bool required = true) {
    const Tensor* t = take_scale(b, suffix, required);
    if (t) check_scalar(*t);
    return t;
  }

  void bind_fp8(Binding& b) {
    b.format = Format::fp8;
    check_shape(*b.weight, b.entry.shape);
    b.scale = take_scalar(b, ".weight_scale");
    b.input_scale = take_scalar(b, ".input_scale", false);
  }

  void bind_nvfp4(Binding& b) {
    b.format = Format::nvfp4;
    const index rows = b.entry.shape[0], cols = b.entry.shape[1];
    if (cols % Nvfp4::kBlock != 0) {
      throw Error({.what = "an NVFP4 matrix needs whole blocks of 16 columns",
                   .where = tensors_.where(*b.weight),
                   .expected = "a multiple of 16 columns",
                   .found = shape_text(b.entry.shape)});
    }
    check_shape(*b.weight, {rows, cols / 2});
    b.scale = take_scalar(b, ".weight_scale_2");
    b.input_scale = take_scalar(b, ".input_scale", false);
    b.block_scales = take_scale(b, ".weight_scale");
    if (!b.block_scales) return;
    check_shape(*b.block_scales, {rows, cols / Nvfp4::kBlock});
    if (b.block_scales->dtype != Dtype::f8_e4m3) {
      throw Error({.what = "NVFP4 block scales of another dtype",
                   .where = tensors_.where(*b.block_scales),
                   .expected = "F8_E4M3",
                   .found = dtype_name(b.block_scales->dtype)});
    }
  }

  // "....experts.7.up_proj.weight" as slice 7 of "....experts.up_proj" [E, out, in], as transformers stacks them.
  bool bind_stacked(Binding& b) {
    const std::string_view module = b.module();
    const size_t member = module.rfind('.'), number = module.rfind('.', member - 1) + 1;
    b.weight = take(std::string(module.substr(0, number)).append(module.substr(member + 1)));
    if (!b.weight) return false;
    b.format = float_format(*b.weight);
    check_shape(*b.weight, {config_.n_routed_experts, b.entry.shape[0], b.entry.shape[1]});
    b.bytes = b.weight->bytes / uint64_t(config_.n_routed_experts);
    b.offset = b.bytes * std::stoull(std::string(module.substr(number, member - number)));
    return true;
  }

  const Config& config_;
  const Safetensors& tensors_;
  std::vector<std::string> names_;  // release names, by place in the index
  NameIndex by_name_;
  std::vector<bool> taken_;
  std::vector<std::string> missing_;
};

// Fills the members of a model from their bindings, reading as little of the weights as it can.
class Loader {
 public:
  // What is going to be read of each tensor is asked for at once: from a disk that takes far less time than one after
  // another, with 128 KiB around each scale.
  Loader(const Safetensors& tensors, std::span<const Binding> bindings) : tensors_(tensors) {
    ReadAhead ahead;
    for (const Binding& b : bindings) {
      for (const Tensor* t : {b.scale, b.input_scale}) add(ahead, t);
      if (b.entry.shape.size() != 2) add(ahead, b.weight);
    }
    ahead.ask();
  }

  void fill(const Binding& b, Matrix& m) {
    m.rows = b.entry.shape[0];
    m.cols = b.entry.shape[1];
    m.format = b.format;
    m.k_segments = b.entry.role == Role::out ? k_segments(m.cols, b.entry.k_units) : 1;
    m.data = tensors_.data(*b.weight) + b.offset;
    if (b.input_scale) scale(*b.input_scale);
    if (b.scale) m.scale = scale(*b.scale);
    if (b.block_scales) m.block_scales = tensors_.data(*b.block_scales);
    if (m.scale == 0)
      zero_.push_back(&m);
    else if (b.block_scales)
      block_scales_.push_back(b.block_scales);
  }

  void fill(const Binding& b, Vector& v) {
    if (!b.weight) return;
    v = widen(*b.weight);
    if (b.entry.role == Role::kv_scale && !(scale(*b.weight) > 0))
      throw Error(
          {.what = "bad scale", .where = tensors_.where(*b.weight), .expected = "a positive number", .found = "0"});
  }

  // The exporter writes a matrix of zeros as scale 0 with NaN codes or block scales (spec/model.md 8.1): zeros take
  // their place.
  Map finish(Threads& threads) {
    check_block_scales(threads);
    size_t most = 0;
    for (const Matrix* m : zero_) most = std::max(most, size_t(m->rows) * m->row_bytes());
    Map zeros = Map::zeros(most);
    for (Matrix* m : zero_) {
      m->data = zeros.data();
      if (m->block_scales) m->block_scales = zeros.data();
    }
    return zeros;
  }

 private:
  void add(ReadAhead& ahead, const Tensor* t) const {
    if (t) ahead.add({tensors_.data(*t), t->bytes});
  }

  Vector widen(const Tensor& t) const {
    Matrix row;
    row.data = tensors_.data(t);
    row.format = *plain_format(t.dtype);
    row.rows = 1;
    row.cols = index(t.bytes / dtype_size(t.dtype));
    Vector out(size_t(row.cols));
    decode_row(row, 0, 0, row.cols, out.data());
    return out;
  }

  float scale(const Tensor& t) const {
    const float value = widen(t)[0];
    if (std::isfinite(value) && value >= 0) return value;
    throw Error({.what = "bad scale",
                 .where = tensors_.where(t),
                 .expected = "a finite number that is not negative",
                 .found = fmt::format("{}", value)});
  }

  // As bytes, NaN is 0x7F and 0xFF, and what is negative is 0x80 and above: the largest byte says whether all is well.
  void check_block_scales(Threads& threads) const {
    constexpr int64_t kAhead = 8, kPiece = 32;  // tensors that are asked for before they are read; that a thread takes
    std::vector<uint8_t> bad(block_scales_.size());
    threads.parallel(int64_t(bad.size()), kPiece, [&](int64_t begin, int64_t end, int) {
      ReadAhead ahead;
      const auto ask = [&](int64_t from) {
        for (int64_t i = from; i < std::min(from + kAhead, end); ++i) add(ahead, block_scales_[size_t(i)]);
        ahead.ask();
      };
      ask(begin);
      for (int64_t i = begin; i < end; ++i) {
        if ((i - begin) % kAhead == 0) ask(i + kAhead);
        const Tensor& t = *block_scales_[size_t(i)];
        const uint8_t* codes = tensors_.data(t);
        uint8_t most = 0;
        for (uint64_t k = 0; k < t.bytes; ++k) most = std::max(most, codes[k]);
        bad[size_t(i)] = most >= 0x7F;
      }
    });
    const auto at = std::find(bad.begin(), bad.end(), 1);
    if (at == bad.end()) return;
    const Tensor& t = *block_scales_[size_t(at - bad.begin())];
    const uint8_t* codes = tensors_.data(t);
    const uint64_t k = uint64_t(std::find_if(codes, codes + t.bytes, [](uint8_t c) { return c >= 0x7F; }) - codes);
    const uint64_t blocks = uint64_t(t.shape[1]);
    throw Error({.what = "bad block scale",
                 .where = tensors_.where(t),
                 .expected = "scales that are neither NaN nor negative",
                 .found = fmt::format("code 0x{:02X} ({}) at [{}, {}]", codes[k], E4m3::decode(codes[k]), k / blocks,
                                      k % blocks),
                 .hint = "the file may be damaged; fetch it again"});
  }

  const Safetensors& tensors_;
  std::vector<const Tensor*> block_scales_;  // still to be checked
  std::vector<Matrix*> zero_;
};

Json read_config(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw Error({.what = "no such folder",
                 .where = folder.string(),
                 .expected = "a checkpoint folder with config.json",
                 .found = path_exists(folder) ? "a file" : "nothing"});
  }
  const std::filesystem::path path = folder / "config.json";
  if (!path_exists(path)) {
    throw Error({.what = "no config.json",
                 .where = folder.string(),
                 .expected = "a checkpoint folder as published",
                 .found = "a folder without one",
                 .hint = "fetch the whole folder"});
  }
  return parse_json(read_file(path, kMostConfig), path.string());
}

// A folder may hold the head even where it is tied; it must then be the embeddings again.
const Tensor* find_tied_head(const Config& config, const Safetensors& tensors, Binder& binder,
                             const Binding& embeddings) {
  const Tensor* head = config.tie_word_embeddings ? binder.take("lm_head.weight") : nullptr;
  if (!head || !embeddings.weight) return head;
  if (head->dtype == embeddings.weight->dtype && head->shape == embeddings.weight->shape) return head;
  throw Error(
      {.what = "tie_word_embeddings is true, but lm_head.weight differs from the embeddings",
       .where = tensors.where(*head),
       .expected = fmt::format("{} {}", dtype_name(embeddings.weight->dtype), shape_text(embeddings.weight->shape)),
       .found = fmt::format("{} {}", dtype_name(head->dtype), shape_text(head->shape))});
}

}  // namespace

std::string_view Binding::module() const {
  const std::string_view name = entry.name;
  return name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
}

std::string release_name(std::string_view name) {
  if (name.starts_with(kWrapper)) name.remove_prefix(kWrapper.size());
  std::string out = name.starts_with("model.") ? std::string("backbone.").append(name.substr(6)) : std::string(name);
  if (out == "backbone.embedding.weight") out = "backbone.embeddings.weight";
  return out;
}

Checkpoint open_checkpoint(const std::filesystem::path& folder) {
  Checkpoint c;
  c.folder = folder;
  const Json json = read_config(folder);
  c.config = parse_config(json, (folder / "config.json").string());
  c.tensors = Safetensors::open_folder(folder, c.warnings);

  Binder binder(c.config, c.tensors);
  const auto bind = [&](const Entry& entry, auto& member) {
    c.bindings.push_back(binder.bind(entry, std::is_same_v<decltype(member), Matrix&>));
  };
  Weights shape;  // only its shape is used: visiting it lists the tensors
  visit_weights(c.config, shape, bind);
  c.tied_head = find_tied_head(c.config, c.tensors, binder, c.bindings[0]);
  if (!c.config.mtp_layers.empty()) {
    c.has_mtp = binder.any_starts_with("mtp.");
    if (c.has_mtp)
      visit_weights(c.config, shape.mtp.emplace(), bind);
    else
      c.warnings.push_back("config.json promises an MTP block, the tensors have none: it is left out");
  }
  binder.finish(c.warnings);
  check_quantization(folder, json, c.bindings, c.warnings);
  return c;
}

Model load_model(const std::filesystem::path& folder, std::vector<std::string>& warnings, Threads& threads) {
  struct Storage {
    Checkpoint checkpoint;
    Map zeros;
  };
  const auto storage = std::make_shared<Storage>();
  storage->checkpoint = open_checkpoint(folder);
  const Checkpoint& c = storage->checkpoint;

  Model model;
  Loader loader(c.tensors, c.bindings);
  auto next = c.bindings.begin();
  const auto fill = [&](const Entry&, auto& member) { loader.fill(*next++, member); };
  visit_weights(c.config, model.weights, fill);
  if (c.has_mtp) visit_weights(c.config, model.weights.mtp.emplace(), fill);
  storage->zeros = loader.finish(threads);

  if (c.config.tie_word_embeddings) model.weights.lm_head = model.weights.embeddings;
  if (c.tied_head) {
    const Tensor& embeddings = *c.bindings[0].weight;
    if (!std::equal(c.tensors.data(embeddings), c.tensors.data(embeddings) + embeddings.bytes,
                    c.tensors.data(*c.tied_head))) {
      throw Error({.what = "tie_word_embeddings is true, but lm_head.weight differs from the embeddings",
                   .where = c.tensors.where(*c.tied_head),
                   .hint = "set tie_word_embeddings to false, or remove the tensor"});
    }
  }
  model.config = c.config;
  model.storage = storage;
  model.mapped = c.tensors.mapped();
  model.files = c.tensors.files();
  warnings.insert(warnings.end(), c.warnings.begin(), c.warnings.end());
  return model;
}

}  // namespace nemotron
