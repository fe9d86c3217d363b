// A made-up tokenizer of any size, laid out as the family's: so that a folder of random weights can be talked to.
//
// Byte-level BPE without merges: what is no entry falls apart into bytes, and any text goes in and comes back out.
// ids 0..17 are the family's special tokens (spec/model.md 9.1). From a vocabulary of 1256 on, up to 999 follow
// <SPECIAL_18> and so on, and byte b is id 1000 + b; below that, byte b is id 18 + b. The rest are words of two-letter
// syllables with a space before them (" ba", " be", ... " zuzu", ...), each its own entry.

#pragma once

#include <string>

#include "base/json.h"
#include "tensor/tensor.h"

namespace nemotron {

constexpr index kSmallestVocabulary = 18 + 256;  // of a tokenizer: the special tokens and the bytes

// The first id that is a word: those below are added tokens and bytes.
constexpr index first_word(index vocab_size) { return (vocab_size >= 1256 ? 1000 : 18) + 256; }

// tokenizer.json of exactly `vocab_size` entries, at least kSmallestVocabulary; one line an entry.
std::string random_tokenizer_json(index vocab_size);
// tokenizer_config.json beside it.
Json random_tokenizer_config(index max_position_embeddings);
// chat_template.jinja: ours, of models/pico.
std::string chat_template_text();

}  // namespace nemotron
