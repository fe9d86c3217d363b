// The entries of the made-up vocabulary and the JSON around them.

#include "io/random_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <vector>

namespace nemotron {
namespace {

constexpr std::string_view kAdded[] = {"<unk>",
                                       "<s>",
                                       "</s>",
                                       "[INST]",
                                       "[/INST]",
                                       "[AVAILABLE_TOOLS]",
                                       "[/AVAILABLE_TOOLS]",
                                       "[TOOL_RESULTS]",
                                       "[/TOOL_RESULTS]",
                                       "[TOOL_CALLS]",
                                       "<|im_start|>",
                                       "<|im_end|>",
                                       "<think>",
                                       "</think>",
                                       "<tool_call>",
                                       "</tool_call>",
                                       "<tool_response>",
                                       "</tool_response>"};
constexpr index kNamed = std::size(kAdded), kFirstPlain = 12;  // from <think> on they are added, but not special
constexpr index kBytes = 256;

// How the releases cut text into pieces.
constexpr const char* kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string utf8(uint32_t code) {  // below U+0800
  if (code < 0x80) return {char(code)};
  return {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
}

// The character that stands for a byte in byte-level vocabularies: itself where it is printable Latin-1, else the next
// from U+0100 on.
std::array<std::string, kBytes> byte_symbols() {
  std::array<std::string, kBytes> out;
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < kBytes; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    out[b] = utf8(printable ? b : next++);
  }
  return out;
}

// Word n: first the hundred of one syllable, then those of two, and so on.
std::string word(index n) {
  constexpr std::string_view consonants = "bcdfghjklmnprstvwxyz", vowels = "aeiou";
  index count = 100;
  int syllables = 1;
  for (; n >= count; count *= 100, ++syllables) n -= count;
  std::string out;
  for (; syllables > 0; --syllables, n /= 100) {
    const index s = n % 100;
    out.insert(0, {consonants[size_t(s / 5)], vowels[size_t(s % 5)]});
  }
  return out;
}

}  // namespace

std::string random_tokenizer_json(index vocab_size) {
  const index added = first_word(vocab_size) - kBytes;
  const auto name = [](index id) { return id < kNamed ? std::string(kAdded[id]) : fmt::format("<SPECIAL_{}>", id); };
  std::string out = "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": [";
  for (index id = 0; id < added; ++id) {
    const bool special = id < kFirstPlain || id >= kNamed;
    out += fmt::format(
        "{}\n{{\"id\": {}, \"content\": {}, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
        "\"normalized\": false, \"special\": {}}}",
        id ? "," : "", id, json_quote(name(id)), special);
  }
  out += fmt::format(
      "],\n\"normalizer\": null,\n"
      "\"pre_tokenizer\": {{\"type\": \"Sequence\", \"pretokenizers\": [{{\"type\": \"Split\", \"pattern\": "
      "{{\"Regex\": {}}}, "
      "\"behavior\": \"Isolated\", \"invert\": false}}, "
      "{{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}}]}},\n"
      "\"post_processor\": {{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": false, "
      "\"use_regex\": true}},\n"
      "\"decoder\": {{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
      "\"use_regex\": true}},\n"
      "\"model\": {{\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, "
      "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": true, "
      "\"vocab\": {{",
      json_quote(kPattern));
  const std::array<std::string, kBytes> bytes = byte_symbols();
  for (index id = 0; id < vocab_size; ++id) {
    const std::string content = id < added            ? name(id)
                                : id < added + kBytes ? bytes[size_t(id - added)]
                                                      : bytes[' '] + word(id - added - kBytes);
    out += fmt::format("{}\n{}: {}", id ? "," : "", json_quote(content), id);
  }
  return out + "}, \"merges\": []}}\n";
}

Json random_tokenizer_config(index max_position_embeddings) {
  Json out;
  out.set("add_bos_token", false).set("add_eos_token", false).set("bos_token", "<s>").set("eos_token", "<|im_end|>");
  out.set("unk_token", "<unk>").set("pad_token", "<unk>").set("clean_up_tokenization_spaces", false);
  out.set("model_max_length", max_position_embeddings).set("tokenizer_class", "PreTrainedTokenizerFast");
  return out;
}

std::string chat_template_text() {
  return
#include "io/chat_template.inc"
      ;
}

}  // namespace nemotron
