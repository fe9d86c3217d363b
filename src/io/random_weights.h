// Random weights with the statistics of trained ones, in every stored format, from a seed.
//
// What they are for: benchmarks and tests, in which a model must spread its load, its scales and its probabilities as a
// trained one does, and no sum may overflow however deep the model is. What they are:
//   matrices     a weight is T * 2^((r + c)/4) * v. v is normal with one in a hundred three times as wide (heavy tail);
//                r varies by row and c by block of 16 columns, binomial from -4 to 4, and one block in 64 is twice as
//                large again (outlier channels), so that block scales spread over octaves. T makes the standard
//                deviation g / sqrt(columns), within 10 %: an input of unit variance gives an output of variance g^2.
//   g            1; 1.5 for queries and keys, so that attention picks; what writes to the residual stream is divided by
//                sqrt(layers), so that the stream only doubles its variance over any depth, and by 1.22 after relu^2,
//                its root mean square. The head's g is 0.6 sqrt(2 ln V), at which the softmax of the logits
//                has some 1.7 nats of entropy for the family's vocabulary and 3.6 for one of 2,048.
//   head         the rows of added tokens and of bytes (io/random_tokenizer.h) are a quarter as large, where there are
//                enough words beside them: an answer is made of words.
//   embeddings   unit variance; 1/sqrt(H) where tied, or each token would predict itself.
//   A_log        uniform in [0, ln 16]; dt_bias uniform between the inverse softplus of time_step_min and _max, which
//                makes the time step log-uniform; D and the norms 1 within a few hundredths or tenths.
//   router       rows of different lengths, so that experts differ in load by a factor of a few; a small
//                e_score_correction_bias.
//   scales       input_scale, k_scale and v_scale as the largest activation of such a model would set them.
//
// The same bytes on any machine, whatever the number of threads or the order: everything is integer and IEEE
// arithmetic keyed by (seed, name of the tensor, place in it). The name is the one in the whole model, so a slice holds
// the very weights of its layers. The weights before rounding do not depend on the recipe: a BF16 folder, an FP8 one
// and an NVFP4 one of one seed are the same model rounded differently.
//
// Speed: v is not drawn weight by weight. Runs of 128 are copied from a pool of 65,536 values, which holds the negative
// of each, so that no row has a mean; for NVFP4 and FP8 the pool is quantized once for each step of the exponent.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/recipe.h"

namespace nemotron {

class RandomWeights {
 public:
  // `whole` is the config of the whole model, layer i of the folder being layer `first_layer` + i of it; dt_min and
  // dt_max are its time_step_min and time_step_max.
  RandomWeights(const Config& whole, Recipe recipe, uint64_t seed, index first_layer, double dt_min, double dt_max);

  // How one stored tensor is made.
  struct Draw {
    enum class Kind : uint8_t {
      constant,
      f32,
      bf16,
      fp8,
      nvfp4,
      nvfp4_scales,
      norm,
      gated_norm,
      a_log,
      d,
      dt_bias,
      conv,
      conv_bias,
      router_bias
    };
    Kind kind = Kind::constant;
    uint64_t key = 0;      // of (seed, the entry's name in the whole model)
    index width = 1;       // elements a row, before quantization
    float scale = 1;       // matrices: T; constant: the number
    index quiet_rows = 0;  // rows before this one are a quarter as large
  };
  // Of `s.tensors[part]`.
  Draw draw(const Stored& s, size_t part) const;

  // Rows [begin, end) of the leading dimension at `out`, as they lie in the file.
  void fill(const Draw& draw, index begin, index end, uint8_t* out) const;

 private:
  struct Blocks;
  uint64_t key(const Stored& s) const;
  double gain(const Stored& s) const;
  float vector_element(const Draw& draw, index i) const;
  void fill_vector(const Draw& draw, index begin, index end, uint8_t* out) const;
  template <class Emit>
  void each_block(const Draw& draw, index row, Blocks& blocks, Emit&& emit) const;

  const Config whole_;
  const uint64_t seed_;
  const index first_layer_;
  float dt_bias_low_, dt_bias_high_;
  double factor_rms_;  // of 2^((r + c)/4)

  static constexpr index kPool = 1 << 16, kRun = 128, kBlock = 16;
  static constexpr int kLowest = -12, kHighest = 12;  // levels r + c: quarters of an octave
  std::vector<float> pool_;                           // [kPool + kRun], of unit variance; the end repeats the start
  std::vector<uint8_t> fp8_;                          // [levels][kPool + kRun]
  std::vector<uint8_t> nvfp4_, nvfp4_scales_;         // [4][(kPool + kRun)/2], [4][(kPool + kRun)/16], by level mod 4
};

}  // namespace nemotron
