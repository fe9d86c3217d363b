// Shapes of GPT-OSS and Qwen3.5 models, and the parameters that follow from them.
//
// Each comes from the release's config.json and from the modules that transformers builds of it; the parameter counts
// that follow are those the authors publish (tests/plan/plan_test.cc). Vision towers are left out.

#include "plan/rivals.h"

#include <algorithm>
#include <cctype>

namespace nemotron {
namespace {

struct Shape {
  const char* name;
  const char* alias;
  const char* title;
  const char* source;
  const char* open;  // what the sources leave to be assumed
  uint64_t layers, full_layers, hidden, vocabulary, context;
  uint64_t heads, kv_heads, head_dim, window;                     // of attention; 0: no window in the other layers
  uint64_t experts, picks, intermediate, shared;                  // experts 0: a dense MLP
  uint64_t key_heads, value_heads, linear_head_dim, conv_kernel;  // of linear attention; 0: none
  bool mtp;
};

constexpr const char* kOss =
    "config.json of openai/%s; layers as GptOssForCausalLM of transformers builds them; totals equal Table 1 of "
    "arXiv 2508.10925";
constexpr const char* kQwen =
    "model card and config.json of Qwen/%s; layers as Qwen3_5 of transformers builds them; text model only";
constexpr const char* kQwenState = "linear attention's state in float32 (mamba_ssm_dtype), its convolution in 16 bits";

constexpr Shape kShapes[] = {
    {"gpt-oss-120b",
     "gpt-oss-120b",
     "GPT-OSS-120B",
     kOss,
     nullptr,
     36,
     18,
     2880,
     201088,
     131072,
     64,
     8,
     64,
     128,
     128,
     4,
     2880,
     0,
     0,
     0,
     0,
     0,
     false},
    {"gpt-oss-20b",
     "gpt-oss-20b",
     "GPT-OSS-20B",
     kOss,
     nullptr,
     24,
     12,
     2880,
     201088,
     131072,
     64,
     8,
     64,
     128,
     32,
     4,
     2880,
     0,
     0,
     0,
     0,
     0,
     false},
    {"qwen3.5-122b-a10b",
     "qwen3.5-122b",
     "Qwen3.5-122B-A10B",
     kQwen,
     kQwenState,
     48,
     12,
     3072,
     248320,
     262144,
     32,
     2,
     256,
     0,
     256,
     8,
     1024,
     1024,
     16,
     64,
     128,
     4,
     true},
    {"qwen3.5-27b",
     "qwen3.5-27b",
     "Qwen3.5-27B",
     kQwen,
     kQwenState,
     64,
     16,
     5120,
     248320,
     262144,
     24,
     4,
     256,
     0,
     0,
     0,
     17408,
     0,
     16,
     48,
     128,
     4,
     true},
};

// The format of a matrix: of an expert or dense MLP, or of another linear layer.
NumberFormat matrix_format(const Shape& s, std::string_view weights, bool of_mlp) {
  const bool oss = s.window != 0;
  if (weights.empty()) return oss && of_mlp ? NumberFormat::mxfp4 : NumberFormat::bf16;
  if (weights == "fp8") return NumberFormat::fp8;
  if (weights == "nvfp4") return NumberFormat::nvfp4;
  if (weights == "mixed") return of_mlp ? NumberFormat::nvfp4 : NumberFormat::fp8;
  return NumberFormat::bf16;
}

class Builder {
 public:
  Builder(const Shape& s, std::string_view weights) : s_(s), weights_(weights) {}

  void matrix(Part part, Count n, bool of_mlp = false) { add(part, matrix_format(s_, weights_, of_mlp), true, n); }
  void experts(Part part, Count n) {
    add(part, matrix_format(s_, weights_, true), true, n * s_.experts, s_.experts, s_.picks);
  }
  void expert_biases(Part part, Count n) { add(part, NumberFormat::bf16, false, n * s_.experts, s_.experts, s_.picks); }
  void plain(Part part, Count n, bool multiplied = false) { add(part, NumberFormat::bf16, multiplied, n); }

  std::vector<WeightGroup> groups;

 private:
  void add(Part part, NumberFormat format, bool multiplied, Count n, uint64_t experts = 1, uint64_t picks = 1) {
    if (n == 0) return;
    const Count bytes = bytes_of(format, n);
    for (WeightGroup& g : groups) {
      if (g.part != part || g.format != format || g.multiplied != multiplied || g.experts != experts) continue;
      g.parameters += n, g.bytes += bytes;
      return;
    }
    groups.push_back({part, format, multiplied, experts, picks, n, bytes});
  }
  const Shape& s_;
  std::string_view weights_;
};

// GPT-OSS has biases and attention sinks; Qwen3.5 has an output gate beside each query, and norms of queries and keys.
void add_attention(const Shape& s, Builder& b, Part part, uint64_t layers) {
  const uint64_t H = s.hidden, q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  const bool oss = s.window != 0;
  b.matrix(part, Count(layers) * H * ((oss ? q : 2 * q) + 2 * kv + q));
  b.plain(part, Count(layers) * (H + (oss ? q + 2 * kv + H + s.heads : 2 * s.head_dim)));
}

void add_linear_attention(const Shape& s, Builder& b) {
  const uint64_t keys = s.key_heads * s.linear_head_dim, values = s.value_heads * s.linear_head_dim;
  const uint64_t channels = 2 * keys + values, layers = s.layers - s.full_layers;
  // in_proj_qkv, in_proj_z, in_proj_b, in_proj_a, out_proj
  b.matrix(Part::linear_attention, Count(layers) * s.hidden * (channels + values + 2 * s.value_heads + values));
  // convolution, A_log and dt_bias, gated norm, norm before
  b.plain(Part::linear_attention,
          Count(layers) * (channels * s.conv_kernel + 2 * s.value_heads + s.linear_head_dim + s.hidden));
}

// Gated MLPs: gate, up, down. Qwen3.5 weighs its shared expert by a gate of one row.
void add_mlp(const Shape& s, Builder& b, Part part, uint64_t layers) {
  const uint64_t H = s.hidden, I = s.intermediate;
  b.plain(part, Count(layers) * H);  // norm before
  if (s.experts == 0) return b.matrix(part, Count(layers) * 3 * H * I, true);
  b.experts(part, Count(layers) * 3 * H * I);
  b.plain(part, Count(layers) * H * s.experts, true);  // router
  b.matrix(part, Count(layers) * 3 * H * s.shared, true);
  if (s.shared != 0) b.plain(part, Count(layers) * H, true);
  if (s.window == 0) return;
  b.plain(part, Count(layers) * s.experts);  // biases of the router
  b.expert_biases(part, Count(layers) * (2 * I + H));
}

std::string filled(const char* text, const char* name) {
  std::string out = text;
  if (const size_t at = out.find("%s"); at != out.npos) out.replace(at, 2, name);
  return out;
}

Architecture build(const Shape& s, std::string_view weights) {
  Architecture a;
  a.name = a.label = s.title;
  a.source = filled(s.source, s.window != 0 ? s.name : s.title);
  if (s.open) a.assumptions.emplace_back(s.open);
  a.hidden = s.hidden;
  a.vocabulary = s.vocabulary;
  a.most_context = s.context;
  const Part mlp = s.experts != 0 ? Part::moe : Part::mlp;
  const uint64_t other = s.layers - s.full_layers;

  a.layers = {{mlp, s.layers}};
  a.layers[Part::attention] = s.window != 0 ? s.layers : s.full_layers;
  a.attention.push_back({s.full_layers, s.heads, s.kv_heads, s.head_dim, 0});
  if (s.window != 0) {
    a.attention.push_back({other, s.heads, s.kv_heads, s.head_dim, s.window});
  } else {
    a.layers[Part::linear_attention] = other;
    const uint64_t keys = s.key_heads * s.linear_head_dim, values = s.value_heads * s.linear_head_dim;
    a.recurrent.push_back({.part = Part::linear_attention,
                           .layers = other,
                           .state = values * s.linear_head_dim,
                           .conv_channels = 2 * keys + values,
                           .conv_kernel = s.conv_kernel,
                           .flops_a_number = 7});
  }

  Builder b(s, weights);
  b.plain(Part::embedding, Count(s.vocabulary) * s.hidden);
  if (s.window == 0) add_linear_attention(s, b);
  add_attention(s, b, Part::attention, a.layers[Part::attention]);
  add_mlp(s, b, mlp, s.layers);
  b.plain(Part::final_norm, s.hidden);
  b.plain(Part::head, Count(s.vocabulary) * s.hidden, true);
  if (s.mtp) {  // fc of two streams, three norms, one attention layer, one MLP
    b.matrix(Part::mtp, Count(2) * s.hidden * s.hidden);
    b.plain(Part::mtp, Count(3) * s.hidden);
    add_attention(s, b, Part::mtp, 1);
    add_mlp(s, b, Part::mtp, 1);
    a.mtp_cache = Count(2) * s.kv_heads * s.head_dim;
  }
  a.weights = std::move(b.groups);

  const uint64_t picks = std::max<uint64_t>(s.picks, 1);
  a.activations = 3 * s.hidden + s.experts + picks * (2 * s.hidden + 2 * s.intermediate) + 2 * s.shared;
  return a;
}

}  // namespace

std::vector<std::string> rival_names() {
  std::vector<std::string> names;
  for (const Shape& s : kShapes) names.emplace_back(s.name);
  return names;
}

std::optional<Architecture> rival(std::string_view name, std::string_view weights) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  for (const Shape& s : kShapes)
    if (lower == s.name || lower == s.alias) return build(s, weights);
  return {};
}

}  // namespace nemotron
