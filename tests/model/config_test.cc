// config.json: every form of the fields, the defaults, and what is refused by name.

#include "model/config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nemotron {
namespace {

Config parse(const std::string& fields) {
  return parse_config(parse_json("{" + fields + "}", "config.json"), "config.json");
}

std::string error_of(const std::string& fields) {
  try {
    parse(fields);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

const std::string kME = R"("hybrid_override_pattern":"ME*-")";

TEST(Config, a_schedule_is_a_string_or_a_list_in_either_spelling) {
  for (const char* schedule :
       {R"("hybrid_override_pattern":"ME*-")", R"("layers_block_type":["mamba","moe","attention","mlp"])",
        R"("layer_types":["linear_attention","moe","full_attention","mlp"])", R"("layers_block_type":"ME*-")"})
    EXPECT_EQ(parse(schedule).pattern(), "ME*-") << schedule;
  EXPECT_EQ(parse(R"("layers_block_type":["moe"],"hybrid_override_pattern":"M")").pattern(), "E");  // the list wins
  EXPECT_EQ(parse(R"("layers_block_type":null,"hybrid_override_pattern":"M")").pattern(), "M");
}

TEST(Config, absent_fields_have_the_defaults_of_transformers) {
  const Config c = parse(R"("layers_block_type":["mamba"])");
  EXPECT_EQ(c.vocab_size, 131072);
  EXPECT_EQ(c.hidden_size, 4096);
  EXPECT_EQ(c.num_attention_heads, 32);
  EXPECT_EQ(c.num_key_value_heads, 8);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.max_position_embeddings, 4096);
  EXPECT_EQ(c.intermediate_size, 21504);
  EXPECT_EQ(c.ssm_state_size, 128);
  EXPECT_EQ(c.mamba_num_heads, 128);
  EXPECT_EQ(c.mamba_head_dim, 64);
  EXPECT_EQ(c.n_groups, 8);
  EXPECT_EQ(c.conv_kernel, 4);
  EXPECT_TRUE(c.use_conv_bias);
  EXPECT_EQ(c.n_routed_experts, 8);
  EXPECT_EQ(c.n_shared_experts, 1);
  EXPECT_EQ(c.moe_intermediate_size, 7688);
  EXPECT_EQ(c.moe_shared_expert_intermediate_size, 7688);
  EXPECT_EQ(c.moe_latent_size, 0);
  EXPECT_EQ(c.num_experts_per_tok, 2);
  EXPECT_EQ(c.routed_scaling_factor, 1.0);
  EXPECT_TRUE(c.norm_topk_prob);
  EXPECT_TRUE(c.mtp_layers.empty());
  EXPECT_EQ(c.layer_norm_epsilon, 1e-5);
  EXPECT_EQ(c.time_step_limit_min, 0);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_EQ(c.eos_token_ids, std::vector<int32_t>{2});
  EXPECT_EQ(c.bos_token_id, 1);
  EXPECT_EQ(c.pad_token_id, 0);
}

TEST(Config, aliases_override_the_modern_names) {
  const Config c =
      parse(kME + R"(,"n_groups":8,"mamba_n_groups":4,"conv_kernel":4,"mamba_d_conv":3,"use_conv_bias":true,
      "mamba_conv_bias":false,"time_step_limit":[0,Infinity],"mamba_dt_limit":[0.25,Infinity],"num_local_experts":16)");
  EXPECT_EQ(c.n_groups, 4);
  EXPECT_EQ(c.conv_kernel, 3);
  EXPECT_FALSE(c.use_conv_bias);
  EXPECT_EQ(c.time_step_limit_min, 0.25);
  EXPECT_EQ(c.n_routed_experts, 16);
}

TEST(Config, the_time_step_limit_is_read_in_every_form) {
  for (const char* limit : {"[0.001,Infinity]", R"([0.001,{"__float__":"Infinity"}])"})
    EXPECT_EQ(parse(kME + ",\"time_step_limit\":" + limit).time_step_limit_min, 0.001);
  EXPECT_EQ(parse(kME + ",\"time_step_limit\":null").time_step_limit_min, 0);
  EXPECT_EQ(parse(kME + ",\"time_step_limit\":[-Infinity,Infinity]").time_step_limit_min, 0);
}

TEST(Config, the_mtp_schedule_has_a_default_and_two_names) {
  const std::string one = kME + ",\"num_nextn_predict_layers\":1";
  const std::vector<LayerKind> usual = {LayerKind::attention, LayerKind::moe}, other = {LayerKind::moe, LayerKind::mlp};
  EXPECT_EQ(parse(one).mtp_layers, usual);
  EXPECT_EQ(parse(one + R"(,"mtp_layers_block_type":["moe","mlp"])").mtp_layers, other);
  EXPECT_EQ(parse(one + R"(,"mtp_hybrid_override_pattern":"E-")").mtp_layers, other);
  EXPECT_EQ(
      parse(one + R"(,"mtp_hybrid_override_pattern":"E-","mtp_layers_block_type":["full_attention","moe"])").mtp_layers,
      other);
  EXPECT_TRUE(parse(kME + R"(,"mtp_hybrid_override_pattern":"*E")").mtp_layers.empty());
}

TEST(Config, a_wrapper_holds_the_text_model) {
  for (const char* key : {"llm_config", "text_config"}) {
    const Config c = parse("\"model_type\":\"some_vl\",\"hidden_size\":7,\"" + std::string(key) +
                           "\":{\"model_type\":\"nemotron_h\",\"hidden_size\":64," + kME + "}");
    EXPECT_EQ(c.hidden_size, 64);
    EXPECT_TRUE(c.multimodal);
  }
  EXPECT_FALSE(parse(kME).multimodal);
  EXPECT_NE(error_of(R"("llm_config":{"hidden_size":-1})").find("llm_config: bad 'hidden_size'"), std::string::npos);
}

TEST(Config, null_and_lists_are_read_where_they_mean_something) {
  const Config c =
      parse(kME + R"(,"num_attention_heads":6,"num_key_value_heads":null,"moe_latent_size":null,"sliding_window":null,
      "num_nextn_predict_layers":null,"eos_token_id":[2,11],"bos_token_id":null,"pad_token_id":-1,"torch_dtype":"float16")");
  EXPECT_EQ(c.num_key_value_heads, 6);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{2, 11}));
  EXPECT_EQ(c.bos_token_id, -1);
  EXPECT_EQ(c.pad_token_id, -1);
  EXPECT_EQ(c.dtype, "float16");
  EXPECT_TRUE(parse(kME + ",\"eos_token_id\":null").eos_token_ids.empty());
}

TEST(Config, only_the_kinds_in_use_must_fit_together) {
  const std::string odd = R"(,"num_attention_heads":5,"num_key_value_heads":2,"num_experts_per_tok":9)";
  EXPECT_EQ(error_of(R"("hybrid_override_pattern":"MM")" + odd), "");
  EXPECT_NE(error_of(R"("hybrid_override_pattern":"M*")" + odd), "");
  EXPECT_NE(error_of(R"("hybrid_override_pattern":"ME")" + odd), "");
}

TEST(Config, each_fault_is_named_with_what_was_expected_and_found) {
  const std::pair<std::string, std::vector<std::string>> faults[] = {
      {"", {"layers_block_type", "hybrid_override_pattern", "schedule"}},
      {R"("hybrid_override_pattern":"MEX*")", {"hybrid_override_pattern[2]", "\"X\""}},
      {R"("hybrid_override_pattern":"ME\u00e9")", {"hybrid_override_pattern[2]", "é"}},
      {R"("hybrid_override_pattern":"")", {"hybrid_override_pattern", "1 to 4096"}},
      {R"("hybrid_override_pattern":3)", {"hybrid_override_pattern", "found 3"}},
      {R"("layers_block_type":["mamba","sliding_attention"])", {"layers_block_type[1]", "sliding_attention"}},
      {R"("layers_block_type":["mamba",3])", {"layers_block_type[1]", "found 3"}},
      {R"("layers_block_type":[])", {"layers_block_type", "found []"}},
      {"\"hybrid_override_pattern\":\"" + std::string(5000, 'M') + "\"", {"hybrid_override_pattern", "4096"}},
      {kME + R"(,"num_hidden_layers":5)", {"num_hidden_layers", "expected 4", "found 5"}},
      {kME + R"(,"model_type":"nemotron_h_puzzle")", {"model_type", "nemotron_h", "nemotron_h_puzzle"}},
      {kME + R"(,"block_configs":[])", {"block_configs", "Puzzle"}},
      {kME + R"(,"attention_bias":true)", {"attention_bias", "false", "true"}},
      {kME + R"(,"mlp_bias":true)", {"mlp_bias"}},
      {kME + R"(,"use_bias":true)", {"use_bias"}},
      {kME + R"(,"mlp_hidden_act":"gelu")", {"mlp_hidden_act", "relu2", "gelu"}},
      {kME + R"(,"mamba_hidden_act":"gelu")", {"mamba_hidden_act", "silu", "gelu"}},
      {kME + R"(,"sliding_window":4096)", {"sliding_window", "null", "4096"}},
      {kME + R"(,"time_step_limit":[0,0.1])", {"time_step_limit", "infinite", "0.1"}},
      {kME + R"(,"time_step_limit":[0,NaN])", {"time_step_limit", "NaN"}},
      {kME + R"(,"time_step_limit":[NaN,Infinity])", {"time_step_limit"}},
      {kME + R"(,"time_step_limit":[Infinity,Infinity])", {"time_step_limit"}},
      {kME + R"(,"time_step_limit":[0])", {"time_step_limit", "two numbers"}},
      {kME + R"(,"time_step_limit":[0,{"__float__":"NaN"}])", {"time_step_limit"}},
      {kME + R"(,"hidden_size":0)", {"config.json", "hidden_size", "from 1", "found 0"}},
      {kME + R"(,"hidden_size":-5)", {"hidden_size", "-5"}},
      {kME + R"(,"hidden_size":1e3)", {"hidden_size", "an integer"}},
      {kME + R"(,"hidden_size":null)", {"hidden_size", "null"}},
      {kME + R"(,"hidden_size":"64")", {"hidden_size", "\"64\""}},
      {kME + R"(,"hidden_size":9223372036854775807)", {"hidden_size"}},
      {kME + R"(,"hidden_size":18446744073709551615)", {"hidden_size"}},
      {kME + R"(,"vocab_size":99999999)", {"vocab_size"}},
      {kME + R"(,"conv_kernel":1)", {"conv_kernel", "from 2 to 4", "found 1"}},
      {kME + R"(,"conv_kernel":5)", {"conv_kernel", "found 5"}},
      {kME + R"(,"use_conv_bias":1)", {"use_conv_bias", "true or false"}},
      {kME + R"(,"mamba_num_heads":12,"n_groups":8)", {"mamba_num_heads", "multiple of n_groups, 8", "found 12"}},
      {kME + R"(,"mamba_num_heads":65536,"mamba_head_dim":65536)", {"mamba_num_heads", "at most"}},
      {kME +
           R"(,"n_groups":1,"mamba_num_heads":65536,"mamba_head_dim":1,"mamba_n_groups":65536,"ssm_state_size":65536)",
       {"n_groups", "at most"}},
      {kME + R"(,"num_attention_heads":65536,"head_dim":65536)", {"num_attention_heads", "at most"}},
      {kME + R"(,"num_attention_heads":12)", {"num_attention_heads", "multiple of num_key_value_heads, 8", "found 12"}},
      {kME + R"(,"num_experts_per_tok":9)", {"num_experts_per_tok", "at most 8", "found 9"}},
      {kME + R"(,"n_group":3)", {"n_group", "divisor of n_routed_experts, 8", "found 3"}},
      {kME + R"(,"n_group":4,"topk_group":5)", {"topk_group", "at most n_group, 4", "found 5"}},
      {kME + R"(,"n_group":4,"topk_group":1,"num_experts_per_tok":3)",
       {"num_experts_per_tok", "at most 2", "groups kept"}},
      {kME + R"(,"n_group":8,"topk_group":4)", {"n_group", "two experts"}},
      {kME + R"(,"n_shared_experts":2)", {"n_shared_experts", "from 0 to 1", "found 2"}},
      {kME + R"(,"num_nextn_predict_layers":2)", {"num_nextn_predict_layers", "from 0 to 1", "found 2"}},
      {kME + R"(,"num_nextn_predict_layers":1,"mtp_layers_block_type":["x"])", {"mtp_layers_block_type[0]", "\"x\""}},
      {kME + R"(,"routed_scaling_factor":NaN)", {"routed_scaling_factor", "NaN"}},
      {kME + R"(,"layer_norm_epsilon":-1)", {"layer_norm_epsilon"}},
      {kME + R"(,"tie_word_embeddings":"yes")", {"tie_word_embeddings", "yes"}},
      {kME + R"(,"eos_token_id":"two")", {"eos_token_id", "two"}},
      {kME + R"(,"eos_token_id":[2,-7])", {"eos_token_id", "-7"}},
      {"\"hybrid_override_pattern\":\"" + std::string(4096, 'E') + R"(","n_routed_experts":65536)",
       {"n_routed_experts", "in all layers"}},
  };
  for (const auto& [fields, parts] : faults) {
    const std::string message = error_of(fields);
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos)
          << "'" << part << "' is not in: " << message << "\nfor " << fields.substr(0, 200);
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
  }
  EXPECT_THROW(parse_config(Json(3), "config.json"), Error);
}

TEST(Config, a_file_of_many_fields_is_not_searched_again_and_again) {
  std::string fields = kME;
  for (int i = 0; i < 300000; ++i) fields += ",\"field" + std::to_string(i) + "\":0";
  const Json json = parse_json("{" + fields + "}", "config.json");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_config(json, "config.json").pattern(), "ME*-");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 5);  // a generous bound, for sanitizers on a busy machine; it takes 0.1
}

}  // namespace
}  // namespace nemotron
