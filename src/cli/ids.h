// Token ids as commands take them: a JSON list, or a list of lists.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron::cli {

struct IdLists {
  std::vector<std::vector<int32_t>> lists;
  bool batch = false;  // the file held a list of lists
};

// Reads `path` ("-": standard input). Throws Error naming the place for what is no list of integers, or an empty list.
IdLists read_ids(const std::string& path);
IdLists parse_ids(const std::string& text, const std::string& where);

// Throws Error naming list and place for an id outside 0 .. vocab_size-1.
void check_ids(const IdLists& ids, index vocab_size, const std::string& where);

}  // namespace nemotron::cli
