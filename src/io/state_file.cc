// State files: which bytes of a state are whose, and how a file proves that it belongs to the model.

#include "io/state_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <type_traits>

#include "base/error.h"

namespace nemotron {
namespace {

constexpr const char* kVersion = "nemotron-state-1";

// FNV-1a over what makes a model: its weights' formats, shapes, scales, vectors, and the ends of every matrix. Enough
// to tell two checkpoints apart without reading them whole.
class Fingerprint {
 public:
  void add(const void* data, size_t size) {
    for (size_t i = 0; i < size; ++i) hash_ = (hash_ ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001B3;
  }
  void add(const Vector& v) { add(v.data(), v.size() * sizeof(float)); }
  void add(const Matrix& w) {
    const int64_t shape[] = {int64_t(w.format), w.rows, w.cols};
    add(shape, sizeof shape);
    add(&w.scale, sizeof w.scale);
    const size_t size = size_t(w.rows) * w.row_bytes(), end = std::min<size_t>(size, 64);
    add(w.data, end);
    add(w.data + size - end, end);
  }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  uint64_t hash_ = 0xCBF29CE484222325;
};

std::string fingerprint(const Model& model) {
  Fingerprint f;
  const std::string pattern = model.config.pattern();
  f.add(pattern.data(), pattern.size());
  const auto each = [&](const Entry&, auto& member) { f.add(member); };
  // The table hands out members to be filled; here they are only read.
  visit_weights(model.config, const_cast<Weights&>(model.weights), each);
  return f.text();
}

Dtype dtype_of(Real real) { return real == Real::f32 ? Dtype::f32 : Dtype::f64; }

Dtype dtype_of(KvFormat f, Real real) {
  return f == KvFormat::fp8 ? Dtype::f8_e4m3 : f == KvFormat::bf16 ? Dtype::bf16 : dtype_of(real);
}

// One tensor of a state: how its elements lie in the state's buffers. `each(i, address)` visits element i in the file's
// order.
// Bytes that follow each other in the file: `count` pieces of `size` bytes that lie `stride` bytes apart in the state.
struct Run {
  std::byte* data;
  size_t size, count = 1, stride = 0;

  void save(std::vector<std::byte>& bytes) const {
    for (size_t i = 0; i < count; ++i) bytes.insert(bytes.end(), data + i * stride, data + i * stride + size);
  }
  const uint8_t* load(const uint8_t* bytes) const {
    for (size_t i = 0; i < count; ++i, bytes += size) std::memcpy(data + i * stride, bytes, size);
    return bytes;
  }
};

struct Part {
  std::string name;
  Dtype dtype;
  Shape shape;
  float scale = 1;
  std::vector<Run> runs;
};

// The parts of one sequence. The state is not changed here; its buffers are written through the runs when loading.
std::vector<Part> parts(const State& state, int slot, const Config& c, const Weights& weights) {
  std::vector<Part> all;
  const StateFormat& format = state.format();
  const index T = state[slot].position, hd = c.head_dim, heads = c.num_key_value_heads;
  for (size_t i = 0; i < state.kinds().size(); ++i) {
    const LayerState& layer = state[slot].layers[i];
    const std::string p = fmt::format("layers.{}.", i);
    if (state.kinds()[i] == LayerKind::mamba) {
      all.push_back({p + "conv",
                     dtype_of(format.real),
                     {c.conv_kernel - 1, c.conv_channels()},
                     1,
                     {{layer.conv.data(), layer.conv.size()}}});
      Part ssm{p + "ssm",
               format.ssm == SsmFormat::f16 ? Dtype::f16 : dtype_of(format.real),
               {c.mamba_num_heads, c.mamba_head_dim, c.ssm_state_size},
               1,
               {}};
      const size_t one = ssm_size(format.ssm, format.real), stride = size_t(round_up(c.ssm_state_size, kLanes)) * one;
      for (index r = 0; r < c.mamba_inner(); ++r)
        ssm.runs.push_back({layer.ssm.data() + size_t(r) * stride, size_t(c.ssm_state_size) * one});
      all.push_back(std::move(ssm));
    } else if (state.kinds()[i] == LayerKind::attention) {
      const auto& w = std::get<AttentionWeights>(weights.layers[i].mixer);
      const size_t one = kv_size(format.kv, format.real);
      for (const bool value : {false, true}) {
        const Vector& scale = value ? w.v_scale : w.k_scale;
        Part part{p + (value ? "v" : "k"),
                  dtype_of(format.kv, format.real),
                  {T, heads, hd},
                  format.kv == KvFormat::fp8 && !scale.empty() ? scale[0] : 1,
                  {}};
        // A position of a head is a row of its values, a column of its keys (ops.h).
        for (index t = 0; t < T; ++t) {
          for (index h = 0; h < heads; ++h) {
            std::byte* matrix =
                layer.page_data[size_t(t / kPage)] + size_t(((value ? heads : 0) + h) * kPage * hd) * one;
            if (value)
              part.runs.push_back({matrix + size_t(t % kPage * hd) * one, size_t(hd) * one});
            else
              part.runs.push_back({matrix + size_t(t % kPage) * one, one, size_t(hd), size_t(kPage) * one});
          }
        }
        all.push_back(std::move(part));
      }
    }
  }
  return all;
}

float widen(const std::byte* p, Dtype dtype) {
  const auto as = [&]<class T>(T v) { return std::memcpy(&v, p, sizeof v), v; };
  switch (dtype) {
    case Dtype::f64:
      return float(as(double{}));
    case Dtype::f32:
      return as(float{});
    case Dtype::bf16:
      return Bf16::decode(as(Bf16::Code{}));
    case Dtype::f16:
      return F16::decode(as(F16::Code{}));
    default:
      return E4m3::decode(as(E4m3::Code{}));
  }
}

OwnedTensor tensor_of(const Part& part, const std::string& prefix, bool as_float32) {
  OwnedTensor t{prefix + part.name, part.dtype, part.shape, {}};
  for (const Run& run : part.runs) run.save(t.bytes);
  if (!as_float32) return t;
  const size_t one = dtype_size(t.dtype), count = t.bytes.size() / one;
  std::vector<std::byte> wide(count * sizeof(float));
  for (size_t i = 0; i < count; ++i) {
    const float v = widen(t.bytes.data() + i * one, t.dtype) * part.scale;
    std::memcpy(wide.data() + i * sizeof v, &v, sizeof v);
  }
  t.bytes = std::move(wide);
  t.dtype = Dtype::f32;
  return t;
}

const char* kv_name(KvFormat f) { return f == KvFormat::fp8 ? "fp8" : f == KvFormat::bf16 ? "bf16" : "f32"; }
const char* ssm_name(SsmFormat f) { return f == SsmFormat::f16 ? "f16" : "f32"; }

// Metadata of a state file, by key.
class Fields {
 public:
  Fields(const Safetensors& file, std::string where) : metadata_(file.metadata()), where_(std::move(where)) {}

  const std::string& text(const std::string& key) const {
    for (const auto& [name, value] : metadata_)
      if (name == key) return value;
    throw Error({.what = "not a saved state: the field '" + key + "' is missing", .where = where_});
  }
  void expect(const std::string& key, const std::string& expected, const std::string& hint) const {
    if (text(key) != expected)
      throw Error({.what = "the saved state's '" + key + "' differs",
                   .where = where_,
                   .expected = expected,
                   .found = text(key),
                   .hint = hint});
  }
  uint64_t number(const std::string& key, uint64_t most) const {
    const std::string& s = text(key);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (error != std::errc() || end != s.data() + s.size() || value > most)
      throw Error({.what = "the saved state's '" + key + "' is no such number",
                   .where = where_,
                   .expected = fmt::format("0 to {}", most),
                   .found = s});
    return value;
  }
  template <class F>
  F choice(const std::string& key, std::initializer_list<F> all, const char* (*name)(F)) const {
    for (const F f : all)
      if (text(key) == name(f)) return f;
    throw Error({.what = "the saved state's '" + key + "' is unknown", .where = where_, .found = text(key)});
  }

 private:
  const Metadata& metadata_;
  std::string where_;
};

// A tensor of a state file. Throws Error where it is not what the model needs.
const Tensor& need(const Safetensors& file, const std::string& name, Dtype dtype, const Shape& shape) {
  const Tensor* t = file.find(name);
  if (!t || t->dtype != dtype || t->shape != shape)
    throw Error({.what = "the saved state does not fit the model",
                 .where = file.files().front().string() + ": tensor '" + name + "'",
                 .expected = std::string(dtype_name(dtype)) + " " + shape_text(shape),
                 .found = t ? std::string(dtype_name(t->dtype)) + " " + shape_text(t->shape) : "nothing"});
  return *t;
}

// Adds the file's next sequence, of `position` tokens, to the state; returns how many tensors that took.
size_t load_sequence(const Safetensors& file, index position, const Model& model, State& state) {
  const Config& c = model.config;
  const StateFormat& format = state.format();
  const std::string prefix = fmt::format("{}.", state.size());
  // Keys and values are looked at before memory is taken for them: the position may be any number.
  for (size_t l = 0; l < c.layers.size(); ++l) {
    if (c.layers[l] != LayerKind::attention) continue;
    for (const char* name : {"k", "v"})
      need(file, fmt::format("{}layers.{}.{}", prefix, l, name), dtype_of(format.kv, format.real),
           {position, c.num_key_value_heads, c.head_dim});
  }
  const int slot = state.add();
  state.reserve(slot, position);
  state[slot].position = position;
  const std::vector<Part> all = parts(state, slot, c, model.weights);
  for (const Part& part : all) {
    const uint8_t* data = file.data(need(file, prefix + part.name, part.dtype, part.shape));
    for (const Run& run : part.runs) data = run.load(data);
  }
  return all.size();
}

}  // namespace

std::vector<OwnedTensor> state_tensors(const State& state, int slot, const Model& model, const std::string& prefix,
                                       bool as_float32) {
  std::vector<OwnedTensor> all;
  for (const Part& part : parts(state, slot, model.config, model.weights))
    all.push_back(tensor_of(part, prefix, as_float32));
  return all;
}

void save_state(const std::filesystem::path& path, const State& state, const Model& model) {
  const StateFormat& f = state.format();
  Metadata metadata = {{"format", kVersion},
                       {"model", fingerprint(model)},
                       {"real", f.real == Real::f32 ? "f32" : "f64"},
                       {"kv", kv_name(f.kv)},
                       {"state", ssm_name(f.ssm)},
                       {"seed", std::to_string(f.seed)},
                       {"sequences", std::to_string(state.size())}};
  std::vector<OwnedTensor> owned;
  for (int slot = 0; slot < state.size(); ++slot) {
    metadata.emplace_back(fmt::format("position.{}", slot), std::to_string(state[slot].position));
    for (OwnedTensor& t : state_tensors(state, slot, model, fmt::format("{}.", slot), false))
      owned.push_back(std::move(t));
  }
  std::vector<TensorData> tensors;
  for (const OwnedTensor& t : owned) tensors.push_back({t.name, t.dtype, t.shape, t.bytes.data()});
  write_safetensors(path, tensors, metadata);
}

State load_state(const std::filesystem::path& path, const Model& model, Real real) {
  const Safetensors file = Safetensors::open(path);
  const Fields fields(file, path.string());
  fields.expect("format", kVersion, "save it again with this version");
  fields.expect("model", fingerprint(model), "a state goes on only with the model that made it");
  fields.expect("real", real == Real::f32 ? "f32" : "f64", "use the backend that made it");
  const StateFormat format{.real = real,
                           .kv = fields.choice("kv", {KvFormat::real, KvFormat::bf16, KvFormat::fp8}, kv_name),
                           .ssm = fields.choice("state", {SsmFormat::real, SsmFormat::f16}, ssm_name),
                           .seed = fields.number("seed", UINT64_MAX)};
  State state = make_state(model.config, format);
  const auto count = int(fields.number("sequences", 1 << 20));
  size_t used = 0;
  for (int i = 0; i < count; ++i) {
    const auto position = index(fields.number(fmt::format("position.{}", i), uint64_t{1} << 40));
    used += load_sequence(file, position, model, state);
  }
  if (used != file.tensors().size())
    throw Error({.what = "the saved state holds tensors that the model does not have",
                 .where = path.string(),
                 .expected = std::to_string(used),
                 .found = std::to_string(file.tensors().size())});
  return state;
}

}  // namespace nemotron
