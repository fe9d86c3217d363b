// Architecture: what a plan has to know of a model, whatever its family: its weights, its caches, its states.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/recipe.h"
#include "plan/count.h"

namespace nemotron {

// How numbers are stored.
enum class NumberFormat : uint8_t { f32, bf16, f16, fp8, nvfp4, mxfp4 };
const char* format_name(NumberFormat f);        // "NVFP4"
double format_bits(NumberFormat f);             // bits a number, block scales counted: 32, 16, 16, 8, 4.5, 4.25
NumberFormat number_format(Format f);           // of a matrix of ours
Count bytes_of(NumberFormat f, Count numbers);  // rounded up to whole bytes

// What a weight belongs to. The norm before a mixer belongs to the mixer.
enum class Part : uint8_t { mamba, linear_attention, attention, moe, mlp, embedding, head, final_norm, mtp };
const char* part_name(Part p);  // "Mamba-2"
const char* part_key(Part p);   // "mamba", for JSON

// Weights of one part that are stored and used alike.
struct WeightGroup {
  Part part = Part::mlp;
  NumberFormat format = NumberFormat::bf16;
  bool multiplied = false;          // matrices of a product; otherwise norms, biases, tables
  uint64_t experts = 1, picks = 1;  // of so many equal shares a token uses so many
  Count parameters, bytes;          // of all experts; bytes with scales

  double active() const { return parameters.real() * double(picks) / double(experts); }
};

// Attention layers that are alike: what they cache is 2 * kv_heads * head_dim numbers a token.
struct AttentionGroup {
  uint64_t layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  uint64_t window = 0;  // tokens seen; 0: all

  Count numbers_a_token() const { return Count(2) * layers * kv_heads * head_dim; }
  uint64_t seen(uint64_t context) const { return window == 0 || context < window ? context : window; }
};

// Layers with a state of fixed size: Mamba-2, gated delta rule.
struct RecurrentGroup {
  Part part = Part::mamba;
  uint64_t layers = 0;
  uint64_t state = 0;                           // numbers of a layer
  uint64_t conv_channels = 0, conv_kernel = 0;  // a causal convolution before it
  // Operations a token on each number of the state. Mamba-2: a S + x B (3), S C (2). Gated delta rule: a S (1), S k
  // (2),
  // + d k (2), S q (2).
  double flops_a_number = 5;
};

struct Architecture {
  std::string name, label;               // in full; short, for tables and pictures
  std::string source;                    // where its numbers are from
  std::vector<std::string> assumptions;  // what its source leaves open
  uint64_t hidden = 0, vocabulary = 0, most_context = 0;
  std::map<Part, uint64_t> layers;
  std::vector<WeightGroup> weights;
  std::vector<AttentionGroup> attention;
  std::vector<RecurrentGroup> recurrent;
  Count mtp_cache;           // numbers a token that the MTP block would cache, were it used
  uint64_t activations = 0;  // numbers a token that live at once in the widest layer
};

// How one tensor of the weight table is stored; bytes with its scales, 0 where it is absent.
struct HowStored {
  NumberFormat format = NumberFormat::bf16;
  uint64_t bytes = 0;
};

// Where a tensor of the weight table belongs: a layer of the model or of its MTP block, or none of them.
struct TensorPlace {
  std::optional<LayerKind> kind;
  index layer = -1;
  bool mtp = false;
};

// Describes a model by walking the weight table that also loads it. `how` is asked once for each tensor, in the order
// of the table, then of the MTP block's where `with_mtp`.
Architecture describe(const Config& config, bool with_mtp,
                      const std::function<HowStored(const Entry&, const TensorPlace&)>& how);

// The same, stored by a recipe.
Architecture describe(const Config& config, Recipe recipe);

// Parameters as spec/model.md 10 counts them: without the MTP block; `active` is what one token passes through, both
// embeddings counted.
struct Parameters {
  Count total, active;
  Count input_embedding, head;  // a tied head has none of its own
  Count mtp;
};
Parameters parameters(const Architecture& a);
Parameters parameters(const Architecture& a, Part part);  // total and active of one part

Count weight_bytes(const Architecture& a, bool with_mtp);

}  // namespace nemotron
