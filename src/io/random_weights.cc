// The pool, its quantized copies, and what each role's tensors are drawn as.

#include "io/random_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/philox.h"
#include "io/random_tokenizer.h"

namespace nemotron {
namespace {

using Words = std::array<uint32_t, 4>;
enum Stream : uint32_t { kElements, kRows, kColumns, kRuns, kScale, kPoolValues };  // of one key

Words draw_words(uint64_t key, Stream stream, uint64_t i, uint32_t j = 0) {
  return philox4x32({uint32_t(i), uint32_t(i >> 32), j, stream}, {uint32_t(key), uint32_t(key >> 32)});
}

// FNV-1a, then the finisher of splitmix64, so that names that differ little have unrelated keys.
uint64_t hash(std::string_view name, uint64_t seed) {
  uint64_t h = 0xCBF29CE484222325 ^ (seed * 0x9E3779B97F4A7C15);
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9;
  h = (h ^ h >> 27) * 0x94D049BB133111EB;
  return h ^ h >> 31;
}

double uniform(uint32_t word) { return (double(word) + 0.5) * 0x1p-32; }  // in (0, 1)

// Eight uniform halves of words, centred, of unit variance: close to normal, and exact on any machine.
double normal(const Words& w) {
  uint32_t sum = 0;
  for (const uint32_t word : w) sum += (word & 0xFFFF) + (word >> 16);
  return (double(sum) - 8 * 32767.5) * 0x1p-16 * 1.2247448713915890;
}

// 2^(level/4).
float level_factor(int level) {
  constexpr float quarters[] = {1.0f, 1.1892071150f, 1.4142135624f, 1.6817928305f};
  return std::ldexp(quarters[level & 3], level >> 2);
}

// Binomial from -4 to 4.
int byte_level(uint32_t byte) { return std::popcount(byte & 0xFF) - 4; }
// The same, and every 64th an octave more.
int column_level(uint32_t half) { return byte_level(half) + (half >> 8 < 4 ? 4 : 0); }

// Rounded to a coarse grid, so that a logarithm that differs in its last bit between machines changes nothing.
double on_grid(double x) { return std::round(x * 1024) / 1024; }

double inverse_softplus(double x) { return x + std::log(-std::expm1(-x)); }

constexpr float kFp8Unit = 4;     // the code of a weight T is 4: up to 448 there is room for the tail and the levels
constexpr float kNvfp4Unit = 32;  // likewise for block scales
constexpr double kReluSquaredRms = 1.2247;

Bf16::Code bf16_finite(float x) {  // Bf16::encode without its branch
  const uint32_t b = float_bits(x);
  return Bf16::Code((b + 0x7FFF + (b >> 16 & 1)) >> 16);
}

}  // namespace

// What a matrix's columns and one row of it draw.
struct RandomWeights::Blocks {
  std::vector<int8_t> columns;   // level of each block of 16
  std::vector<uint16_t> starts;  // in the pool, in blocks, of each run

  Blocks(uint64_t key, index width)
      : columns(size_t((width + kBlock - 1) / kBlock)), starts(size_t((width + kRun - 1) / kRun)) {
    for (size_t b = 0; b < columns.size(); b += 8) {
      const Words w = draw_words(key, kColumns, b / 8);
      for (size_t i = b; i < std::min(columns.size(), b + 8); ++i)
        columns[i] = int8_t(column_level(w[i % 8 / 2] >> (i % 2 * 16) & 0xFFFF));
    }
  }
  void start_row(uint64_t key, index row) {
    for (size_t r = 0; r < starts.size(); r += 4) {
      const Words w = draw_words(key, kRuns, uint64_t(row), uint32_t(r / 4));
      for (size_t i = r; i < std::min(starts.size(), r + 4); ++i) starts[i] = uint16_t(w[i % 4] % (kPool / kBlock));
    }
  }
};

RandomWeights::RandomWeights(const Config& whole, Recipe recipe, uint64_t seed, index first_layer, double dt_min,
                             double dt_max)
    : whole_(whole),
      seed_(seed),
      first_layer_(first_layer),
      dt_bias_low_(float(on_grid(inverse_softplus(dt_min)))),
      dt_bias_high_(float(on_grid(inverse_softplus(dt_max)))) {
  double rows = 0, columns = 0;
  const auto square = [](int level) { return double(level_factor(level)) * double(level_factor(level)); };
  for (uint32_t byte = 0; byte < 256; ++byte) rows += square(byte_level(byte)) / 256;
  for (uint32_t half = 0; half < 65536; ++half) columns += square(column_level(half)) / 65536;
  factor_rms_ = std::sqrt(rows * columns);

  const uint64_t pool_key = hash("pool", seed);
  pool_.resize(kPool + kRun);
  double squares = 0;
  for (index i = 0; i < kPool / 2; ++i) {
    const Words w = draw_words(pool_key, kPoolValues, uint64_t(i)),
                tail = draw_words(pool_key, kPoolValues, uint64_t(i), 1);
    const double v = normal(w) * (tail[0] % 100 == 0 ? 3 : 1);
    pool_[size_t(i)] = float(v);
    squares += v * v;
  }
  const float unit = float(1 / std::sqrt(squares / (kPool / 2)));
  for (index i = 0; i < kPool / 2; ++i) {
    pool_[size_t(i)] *= unit;
    pool_[size_t(i + kPool / 2)] = -pool_[size_t(i)];
  }
  std::copy_n(pool_.begin(), kRun, pool_.begin() + kPool);
  if (recipe == Recipe::bf16) return;

  const size_t size = pool_.size();
  for (int level = kLowest; level <= kHighest; ++level)
    for (const float v : pool_) fp8_.push_back(Fp8::encode(v * level_factor(level), 1 / kFp8Unit));
  for (int level = 0; level < 4; ++level) {
    for (size_t b = 0; b < size; b += kBlock) {
      std::array<float, kBlock> x;
      float amax = 0;
      for (size_t i = 0; i < kBlock; ++i) amax = std::max(amax, std::fabs(x[i] = pool_[b + i] * level_factor(level)));
      const uint8_t scale = Nvfp4::block_scale(amax, 1 / kNvfp4Unit);
      std::array<uint8_t, kBlock / 2> codes;
      Nvfp4::encode_block(x.data(), scale, 1 / kNvfp4Unit, codes.data());
      nvfp4_.insert(nvfp4_.end(), codes.begin(), codes.end());
      nvfp4_scales_.push_back(scale);
    }
  }
}

uint64_t RandomWeights::key(const Stored& s) const {
  const std::string& name = s.entry.name;
  if (s.mtp || !s.kind || first_layer_ == 0) return hash(name, seed_);
  const size_t number = std::string_view("backbone.layers.").size();
  return hash(name.substr(0, number) + std::to_string(first_layer_ + s.layer) + name.substr(name.find('.', number)),
              seed_);
}

// g above.
double RandomWeights::gain(const Stored& s) const {
  const std::string_view name = s.entry.name;
  const auto is = [&](std::string_view module) { return name.ends_with(std::string(module) + ".weight"); };
  const double residual = 1 / std::sqrt(double(s.mtp ? whole_.mtp_layers.size() : whole_.layers.size()));
  switch (s.entry.role) {
    case Role::embedding:  // a row has `columns` elements of unit variance, or of 1 / columns
      return whole_.tie_word_embeddings ? 1 : std::sqrt(double(whole_.hidden_size));
    case Role::head:
      return on_grid(0.6 * std::sqrt(2 * std::log(double(whole_.vocab_size))));
    case Role::expert:
      if (!is("down_proj")) return 1;
      return (whole_.moe_latent_size ? 1 : residual) / kReluSquaredRms;
    case Role::out:
      return is("down_proj") ? residual / kReluSquaredRms : residual;
    case Role::latent:
      return is("fc2_latent_proj") ? residual : 1;
    default:
      return is("q_proj") || is("k_proj") ? 1.5 : 1;
  }
}

RandomWeights::Draw RandomWeights::draw(const Stored& s, size_t part) const {
  using Kind = Draw::Kind;
  const std::string_view name = s.tensors[part].name;
  Draw d;
  d.key = key(s);
  for (size_t i = 1; i < s.entry.shape.size(); ++i) d.width *= s.entry.shape[i];

  const double jitter = 0.9 + 0.2 * uniform(draw_words(d.key, kScale, 0)[0]);
  const auto constant = [&](double value) {
    d.kind = Kind::constant;
    d.scale = float(value);
    return d;
  };
  // The largest activation is about ten times its root mean square; all experts of a layer see the same input.
  const bool after_relu = name.find("down_proj") != name.npos;
  if (name.ends_with(".input_scale"))
    return constant((after_relu ? 25.0 : 10.0) / (s.format == Format::fp8 ? 448 : 2688));
  if (s.entry.role == Role::kv_scale) return constant(jitter * (name.ends_with("k_scale") ? 10.0 : 7.0) / 448);

  if (s.entry.shape.size() == 2) {
    d.scale = float(jitter * gain(s) / (std::sqrt(double(d.width)) * factor_rms_));
    const index words = first_word(whole_.vocab_size);
    if (s.entry.role == Role::head && whole_.vocab_size - words >= whole_.vocab_size / 8) d.quiet_rows = words;
    if (name.ends_with(".weight_scale_2")) return constant(d.scale / kNvfp4Unit);
    if (name.ends_with(".weight_scale") && s.format == Format::fp8) return constant(d.scale / kFp8Unit);
    d.kind = name.ends_with(".weight_scale") ? Kind::nvfp4_scales
             : s.format == Format::nvfp4     ? Kind::nvfp4
             : s.format == Format::fp8       ? Kind::fp8
             : s.format == Format::f32       ? Kind::f32
                                             : Kind::bf16;
    return d;
  }
  d.kind = name.ends_with("mixer.norm.weight") ? Kind::gated_norm
           : name.ends_with("A_log")           ? Kind::a_log
           : name.ends_with(".D")              ? Kind::d
           : name.ends_with("dt_bias")         ? Kind::dt_bias
           : s.entry.role == Role::router_bias ? Kind::router_bias
           : name.ends_with("conv1d.weight")   ? Kind::conv
           : name.ends_with("conv1d.bias")     ? Kind::conv_bias
                                               : Kind::norm;
  return d;
}

float RandomWeights::vector_element(const Draw& d, index i) const {
  using Kind = Draw::Kind;
  const Words w = draw_words(d.key, kElements, uint64_t(i));
  switch (d.kind) {
    case Kind::a_log:
      return float(2.772588722239781 * uniform(w[0]));
    case Kind::dt_bias:
      return dt_bias_low_ + (dt_bias_high_ - dt_bias_low_) * float(uniform(w[0]));
    case Kind::conv:  // the newest column weighs most
      return float(0.3 * normal(w) + (i % d.width == d.width - 1 ? 0.6 : 0));
    case Kind::conv_bias:
      return float(0.1 * normal(w));
    case Kind::router_bias:
      return float(0.02 * normal(w));
    case Kind::norm:
      return float(1 + 0.1 * normal(w));
    default:
      return float(1 + 0.2 * normal(w));
  }
}

void RandomWeights::fill_vector(const Draw& d, index begin, index end, uint8_t* out) const {
  for (index i = begin * d.width; i < end * d.width; ++i) {
    const float v = vector_element(d, i);
    if (d.kind == Draw::Kind::router_bias) {
      std::memcpy(out, &v, sizeof v);
      out += sizeof v;
    } else {
      const Bf16::Code code = Bf16::encode(v);
      std::memcpy(out, &code, sizeof code);
      out += sizeof code;
    }
  }
}

// Calls emit(place in the pool, level, count) for each block of a row.
template <class Emit>
void RandomWeights::each_block(const Draw& d, index row, Blocks& blocks, Emit&& emit) const {
  blocks.start_row(d.key, row);
  const uint32_t word = draw_words(d.key, kRows, uint64_t(row) / 16)[size_t(row / 4 % 4)];
  const int level = row < d.quiet_rows ? -8 : byte_level(word >> (row % 4 * 8));
  for (index c = 0; c < d.width; c += kBlock) {
    const size_t place = size_t(blocks.starts[size_t(c / kRun)]) * kBlock + size_t(c % kRun);
    emit(place, level + blocks.columns[size_t(c / kBlock)], size_t(std::min(kBlock, d.width - c)));
  }
}

void RandomWeights::fill(const Draw& d, index begin, index end, uint8_t* out) const {
  using Kind = Draw::Kind;
  switch (d.kind) {
    case Kind::constant:
      std::memcpy(out, &d.scale, sizeof d.scale);
      return;
    case Kind::f32:
    case Kind::bf16:
    case Kind::fp8:
    case Kind::nvfp4:
    case Kind::nvfp4_scales:
      break;
    default:
      return fill_vector(d, begin, end, out);
  }
  std::array<float, kHighest - kLowest + 1> factors;
  for (int level = kLowest; level <= kHighest; ++level)
    factors[size_t(level - kLowest)] = d.scale * level_factor(level);
  Blocks blocks(d.key, d.width);
  const size_t size = pool_.size();
  for (index row = begin; row < end; ++row) {
    each_block(d, row, blocks, [&](size_t place, int level, size_t count) {
      const float* v = pool_.data() + place;
      const float factor = factors[size_t(level - kLowest)];
      switch (d.kind) {
        case Kind::bf16: {
          std::array<Bf16::Code, kBlock> codes;
          for (size_t i = 0; i < kBlock; ++i) codes[i] = bf16_finite(v[i] * factor);
          std::memcpy(out, codes.data(), count * 2);
          out += count * 2;
          break;
        }
        case Kind::fp8:
          std::memcpy(out, fp8_.data() + size_t(level - kLowest) * size + place, count);
          out += count;
          break;
        case Kind::nvfp4:
          std::memcpy(out, nvfp4_.data() + (size_t(level & 3) * size + place) / 2, kBlock / 2);
          out += kBlock / 2;
          break;
        case Kind::nvfp4_scales:  // E4M3 has three bits of mantissa: eight codes an octave
          *out++ = uint8_t(nvfp4_scales_[(size_t(level & 3) * size + place) / kBlock] + (level >> 2) * 8);
          break;
        default:
          for (size_t i = 0; i < count; ++i, out += sizeof(float)) {
            const float value = v[i] * factor;
            std::memcpy(out, &value, sizeof value);
          }
      }
    });
  }
}

}  // namespace nemotron
