// Tokenizer: equal to the reference on its data, exact about what it refuses, linear in its input.

#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <thread>

#include "base/base64.h"
#include "base/utf8.h"
#include "golden.h"

namespace nemotron {
namespace {

TEST(Tokenizer, encodes_and_decodes_as_the_reference) {
  for (const std::string& name : tokenizer_names()) {
    const Tokenizer tokenizer = golden_tokenizer(name);
    for (const Json& row : golden_lines("encodings/" + name + ".jsonl")) {
      const std::string& text = member(row, "text").string();
      const auto ids = ids_of(member(row, "ids"));
      const auto with_special = row.find("ids_special") ? ids_of(*row.find("ids_special")) : ids;
      const std::string decoded = row.find("decoded") ? row.find("decoded")->string() : text;
      const std::string skipping =
          row.find("decoded_skip_special") ? row.find("decoded_skip_special")->string() : decoded;
      EXPECT_EQ(tokenizer.encode(text), ids) << name << ": " << row.dump();
      EXPECT_EQ(tokenizer.encode(text, true), with_special) << name << ": " << row.dump();
      EXPECT_EQ(tokenizer.decode(with_special), decoded) << name << ": " << row.dump();
      EXPECT_EQ(tokenizer.decode(with_special, true), skipping) << name << ": " << row.dump();
    }
  }
}

TEST(Tokenizer, takes_each_maximal_part_that_is_no_utf8_for_one_replacement_character) {
  for (const Json& row : golden_lines("encodings/invalid_utf8.jsonl")) {
    const Tokenizer tokenizer = golden_tokenizer(member(row, "tokenizer").string());
    const std::string bytes = decode_base64(member(row, "text_b64").string());
    EXPECT_EQ(replace_invalid_utf8(bytes), member(row, "replaced").string());
    EXPECT_EQ(tokenizer.encode(bytes), ids_of(member(row, "ids"))) << row.dump();
  }
}

// tekken_form with other parts.
std::string changed_tokenizer(const std::vector<std::pair<std::string, Json>>& changes) {
  Json file = test_data("text/tokenizers/tekken_form/tokenizer.json");
  for (const auto& [key, value] : changes) file.set(key, value);
  return file.dump();
}

TEST(Tokenizer, follows_the_pipelines_of_other_families_and_random_ones) {
  const Json rows = test_data("text/pipelines.json");
  for (const Json& row : rows.array()) {
    std::vector<std::pair<std::string, Json>> changes = {{"pre_tokenizer", member(row, "pre_tokenizer")},
                                                         {"normalizer", member(row, "normalizer")}};
    if (!member(row, "added_tokens").is_null()) changes.emplace_back("added_tokens", member(row, "added_tokens"));
    const Tokenizer tokenizer = Tokenizer::parse(changed_tokenizer(changes), "pipeline");
    for (const Json& one : member(row, "cases").array()) {
      EXPECT_EQ(tokenizer.encode(one.array()[0].string()), ids_of(one.array()[1]))
          << one.dump() << " with " << member(row, "pre_tokenizer").dump();
    }
  }
}

TEST(Tokenizer, refuses_by_name_what_it_does_not_support) {
  const Json rows = test_data("text/refused/reasons.json");
  for (const Json& row : rows.array()) {
    const std::string& file = member(row, "file").string();
    const std::string text = repository_file("tests/data/text/refused/" + file);
    const std::string message = message_of([&] { Tokenizer::parse(text, "dir/tokenizer.json"); });
    const std::string& reason = member(row, "names").string();
    EXPECT_EQ(message.rfind("dir/tokenizer.json: ", 0), 0u) << file << ": " << message;
    // "model.type Unigram" stands there as it is; of "pre_tokenizer: a regex …" both halves do.
    const size_t colon = reason.find(": ");
    EXPECT_NE(message.find(reason.substr(0, colon)), message.npos) << file << ": " << message;
    if (colon != reason.npos) {
      EXPECT_NE(message.find(reason.substr(colon + 2)), message.npos) << file << ": " << message;
    }
  }
}

struct Fault {
  const char* key;
  const char* value;
  const char* named;  // in the message
};

TEST(Tokenizer, names_the_field_of_every_fault) {
  const Fault faults[] = {
      {"version", R"("2.0")", "version: not supported"},
      {"truncation", R"({"max_length": 5})", "truncation: not supported"},
      {"padding", R"({"strategy": "BatchLongest"})", "padding: not supported"},
      {"model", "3", "model: wrong kind of value"},
      {"model", R"({"type": "BPE", "merges": []})", "vocab: a field is missing"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}})", "model.merges: a field is missing"},
      {"model", R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})", "model.vocab: an id that is no id"},
      {"model", R"({"type": "BPE", "vocab": {"a": 4194304}, "merges": []})", "model.vocab: an id that is no id"},
      {"model", R"({"type": "BPE", "vocab": {"a": 1e99}, "merges": []})", "model.vocab: an id that is no id"},
      {"model", R"({"type": "BPE", "vocab": {"a": "x"}, "merges": []})", "model.vocab: an id that is no id"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})", "two contents with the id 0"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []})", "there twice"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]})",
       "not in the vocabulary: found 'aa' in merge 0"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})", "merge 0 is no pair"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b c"]})", "merge 0 is no pair"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]})", "merge 0 is no pair"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [7]})", "merge 0 is no pair"},
      {"model", R"({"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []})", "model.dropout: not supported"},
      {"model", R"({"type": "BPE", "end_of_word_suffix": "</w>", "vocab": {}, "merges": []})",
       "model.end_of_word_suffix"},
      {"model", R"({"type": "BPE", "continuing_subword_prefix": "##", "vocab": {}, "merges": []})",
       "continuing_subword"},
      {"model", R"({"type": "BPE", "byte_fallback": true, "vocab": {}, "merges": []})", "model.byte_fallback"},
      {"model", R"({"type": "BPE", "ignore_merges": 1, "vocab": {}, "merges": []})", "model.ignore_merges"},
      {"added_tokens", "{}", "added_tokens: wrong kind of value"},
      {"added_tokens", R"([{"id": 0}])", "added_tokens[0].content: a field is missing"},
      {"added_tokens", R"([{"id": -1, "content": "x"}])", "added_tokens[0].id: an id that is no id"},
      {"added_tokens", R"([{"id": 0, "content": "<unk>", "single_word": 1}])",
       "added_tokens[0].single_word: wrong kind"},
      {"added_tokens",
       R"([{"id": 9999, "content": "brand-new", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": false}])",
       "the id of 'brand-new' is not the one it gets: expected 6064"},
      {"normalizer", R"({"type": "Lowercase"})", "normalizer.type Lowercase: not supported"},
      {"normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Strip"}]})", "normalizers.type Strip"},
      {"pre_tokenizer", "null", "pre_tokenizer: there is no ByteLevel"},
      {"pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": false},
          {"type": "ByteLevel", "add_prefix_space": false}, {"type": "ByteLevel", "add_prefix_space": false},
          {"type": "ByteLevel", "add_prefix_space": false}]})",
       "pre_tokenizer: more than 3 times ByteLevel"},
      {"pre_tokenizer", R"({"type": "Whitespace"})", "pre_tokenizer.type Whitespace: not supported"},
      {"pre_tokenizer", R"({"type": "ByteLevel"})", "pre_tokenizer.add_prefix_space"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Glob": "*"}, "behavior": "Removed", "invert": false})",
       "pre_tokenizer.pattern: no pattern"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"String": " "}, "behavior": "Kept", "invert": false})",
       "pre_tokenizer.behavior"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Removed", "invert": false})",
       "pre_tokenizer.pattern.Regex: a regex that cannot be compiled"},
      {"decoder", "null", "decoder: not supported"},
      {"decoder", R"({"type": "Sequence", "decoders": [{"type": "Fuse"}]})", "decoder.decoders[0].type Fuse"},
      {"post_processor", R"({"type": "BertProcessing"})", "post_processor.cls: a field is missing"},
      {"post_processor", R"({"type": "Alphabetic"})", "post_processor.type Alphabetic: not supported"},
      {"post_processor",
       R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}})",
       "post_processor.special_tokens: a special token that is not described"},
      {"post_processor",
       R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}],
           "special_tokens": {"x": {"ids": [99999]}}})",
       "post_processor.special_tokens: an id without an entry"},
  };
  for (const Fault& fault : faults) {
    const std::string text = changed_tokenizer({{fault.key, Json(nullptr)}});
    // Json would drop a key that is there twice, so the value goes in as text.
    const std::string marker = std::string("\"") + fault.key + "\": null";
    std::string changed = text;
    changed.replace(changed.find(marker), marker.size(), std::string("\"") + fault.key + "\": " + fault.value);
    const std::string message = message_of([&] { Tokenizer::parse(changed, "f"); });
    EXPECT_NE(message.find(fault.named), message.npos) << fault.key << " = " << fault.value << ": " << message;
  }
}

TEST(Tokenizer, refuses_what_is_no_json_object) {
  EXPECT_NE(message_of([] { Tokenizer::parse("", "f"); }), "");
  EXPECT_NE(message_of([] { Tokenizer::parse("[]", "f"); }).find("no JSON object"), std::string::npos);
  EXPECT_NE(message_of([] {
              Tokenizer::parse(std::string(100000, '[') + std::string(100000, ']'), "f");
            }).find("nested deeper"),
            std::string::npos);
  std::string nested = "{\"x\": ";
  for (int i = 0; i < 100000; ++i) nested += "{\"x\": ";
  EXPECT_NE(message_of([&] { Tokenizer::parse(nested, "f"); }), "");
  const std::string whole = repository_file("tests/data/text/refused/decoder.json");
  for (size_t cut = 0; cut < whole.size(); cut += 997) {
    EXPECT_NE(message_of([&] { Tokenizer::parse(whole.substr(0, cut), "f"); }), "") << cut;
  }
}

TEST(Tokenizer, says_which_file_is_missing) {
  const std::string message = message_of([] { Tokenizer("/nonexistent/folder"); });
  EXPECT_NE(message.find("/nonexistent/folder/tokenizer.json"), std::string::npos) << message;
  EXPECT_NE(message.find("tokenizer.model"), std::string::npos) << message;
}

// As Falcon and StarCoder have it, which lack entries for some control characters.
TEST(Tokenizer, drops_or_replaces_a_byte_without_an_entry_as_the_reference_does) {
  const char* file =
      R"({"added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
    "decoder": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "b": 1, "ab": 2%s}, "merges": ["a b"]%s}})";
  const auto with = [&](const char* entries, const char* options) {
    char text[1000];
    std::snprintf(text, sizeof text, file, entries, options);
    return Tokenizer::parse(text, "f");
  };
  EXPECT_EQ(with("", "").encode("aba"), (std::vector<int32_t>{2, 0}));
  EXPECT_EQ(with("", "").encode("acb\x1d"), (std::vector<int32_t>{2}));
  EXPECT_EQ(with("", "").encode("ccc"), (std::vector<int32_t>{}));
  const Tokenizer lacking = with("", R"(, "unk_token": "?")");
  EXPECT_EQ(lacking.encode("aba"), (std::vector<int32_t>{2, 0}));
  EXPECT_NE(message_of([&] { lacking.encode("abc"); }).find("neither the byte 0x63 nor the unk_token has an entry"),
            std::string::npos);
  const Tokenizer unknown = with(R"(, "?": 3)", R"(, "unk_token": "?")");
  EXPECT_EQ(unknown.encode("xyabzx"), (std::vector<int32_t>{3, 3, 2, 3, 3}));
  const Tokenizer fused = with(R"(, "?": 3)", R"(, "unk_token": "?", "fuse_unk": true)");
  EXPECT_EQ(fused.encode("xyabzx"), (std::vector<int32_t>{3, 2, 3}));
}

TEST(Tokenizer, applies_the_template) {
  const std::string post = R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "end", "type_id": 0}}], "pair": [],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "end": {"id": "end", "ids": [2, 11], "tokens": []}}})";
  const Tokenizer tokenizer = Tokenizer::parse(changed_tokenizer({{"post_processor", parse_json(post, "")}}), "f");
  const auto plain = tokenizer.encode("hello");
  std::vector<int32_t> whole = {1};
  whole.insert(whole.end(), plain.begin(), plain.end());
  whole.insert(whole.end(), {2, 11});
  EXPECT_EQ(tokenizer.encode("hello", true), whole);
  EXPECT_EQ(tokenizer.encode("", true), (std::vector<int32_t>{1, 2, 11}));
}

TEST(Tokenizer, adds_cls_and_sep_as_roberta_and_bert_do) {
  for (const char* type : {"RobertaProcessing", "BertProcessing"}) {
    const std::string post =
        std::string(R"({"type": ")") + type +
        R"(", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": true, "add_prefix_space": true})";
    const Tokenizer tokenizer = Tokenizer::parse(changed_tokenizer({{"post_processor", parse_json(post, "")}}), "f");
    std::vector<int32_t> whole = {1};
    const auto plain = tokenizer.encode("hello");
    whole.insert(whole.end(), plain.begin(), plain.end());
    whole.push_back(2);
    EXPECT_EQ(tokenizer.encode("hello", true), whole);
    EXPECT_EQ(tokenizer.encode("", true), (std::vector<int32_t>{1, 2}));
  }
  const std::string wrong = R"({"type": "RobertaProcessing", "sep": ["</s>", 99999], "cls": ["<s>", 1]})";
  EXPECT_NE(message_of([&] {
              Tokenizer::parse(changed_tokenizer({{"post_processor", parse_json(wrong, "")}}), "f");
            }).find("post_processor: an id without an entry"),
            std::string::npos);
}

TEST(Tokenizer, knows_its_entries) {
  const Tokenizer tokenizer = golden_tokenizer("tekken_form");
  EXPECT_EQ(tokenizer.vocabulary_size(), 6064);
  EXPECT_EQ(tokenizer.id_of("<|im_end|>"), 11);
  EXPECT_EQ(tokenizer.id_of("no such entry"), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(11));
  EXPECT_FALSE(tokenizer.is_special(12));  // <think>: added, not special
  EXPECT_EQ(tokenizer.content(12), "<think>");
  EXPECT_EQ(tokenizer.content(96), "Ġ");
  EXPECT_EQ(tokenizer.bytes(96), " ");
  for (const int32_t id : {-1, 6064, INT32_MAX, INT32_MIN}) {
    EXPECT_FALSE(tokenizer.has(id));
    EXPECT_FALSE(tokenizer.is_special(id));
    EXPECT_EQ(tokenizer.content(id), "");
    EXPECT_EQ(tokenizer.decode(std::vector{id}), "");
  }
}

TEST(Tokenizer, encoding_then_decoding_restores_any_utf8) {
  std::mt19937 random(3);
  for (const char* name : {"tekken_form", "llama3_form", "gpt2_form"}) {
    const Tokenizer tokenizer = golden_tokenizer(name);
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (int i = int(random() % 40); i > 0; --i) {
        char32_t c = random() % 4 == 0 ? random() % 0x110000 : random() % 0x180;
        if (c >= 0xD800 && c < 0xE000) c = ' ';
        append_utf8(text, c);
      }
      if (text.find("  ") != text.npos || text.find("<|fim") != text.npos) continue;  // gpt2_form strips around these
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << name;
    }
  }
}

TEST(Tokenizer, gives_the_same_ids_to_every_thread) {
  const Tokenizer tokenizer = golden_tokenizer("qwen_form");
  std::vector<std::string> texts;
  for (const Json& row : golden_lines("encodings/qwen_form.jsonl")) texts.push_back(member(row, "text").string());
  std::vector<std::vector<int32_t>> alone;
  for (const std::string& text : texts) alone.push_back(tokenizer.encode(text));
  std::vector<std::thread> threads;
  std::vector<int> same(4);
  for (size_t t = 0; t < same.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < texts.size(); ++i) {
        const size_t k = (i * (t + 1)) % texts.size();
        same[t] += tokenizer.encode(texts[k]) == alone[k];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<int>(4, int(texts.size())));
}

double processor_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

double best_time(const Tokenizer& tokenizer, const std::string& text) {
  double best = 1e9;
  for (int i = 0; i < 2; ++i) {
    const double start = processor_seconds();
    tokenizer.encode(text);
    best = std::min(best, processor_seconds() - start);
  }
  return best;
}

// Quadratic time would make the eightfold text 64 times as slow.
TEST(Tokenizer, takes_time_linear_in_any_text) {
  std::mt19937 random(1);
  std::string noise, letters;
  for (int i = 0; i < 4096; ++i) noise += char(random());
  for (int i = 0; i < 4096; ++i) letters += char('a' + random() % 26);
  const std::string units[] = {
      "a",   "A",  " ",      "\n",           "1",   "!",      "'",   "<",     "<|im_start|", "<|im_start|>",
      " \n", "中", "\u00a0", "\u0301\u0323", "  x", "\u1161", "<R>", "word ", noise,         letters};
  for (const char* name : {"tekken_form", "prefix_form", "qwen_form"}) {
    const Tokenizer tokenizer = golden_tokenizer(name);
    for (const std::string& unit : units) {
      std::string small, large;
      while (small.size() < 10'000) small += unit;
      for (int i = 0; i < 8; ++i) large += small;
      small += "x", large += "x";
      EXPECT_LT(best_time(tokenizer, large), 30 * best_time(tokenizer, small) + 0.02)
          << name << ": " << unit.substr(0, 20);
    }
  }
}

}  // namespace
}  // namespace nemotron
