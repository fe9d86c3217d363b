// The reference data of the tests: files under tests/data, read as JSON; floats are written there as the digits of
// their bits.

#pragma once

#include <bit>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace nemotron {

// A whole file; `path` starts at the root of the repository.
inline std::string repository_file(const std::string& path) {
  std::ifstream file(std::string(NEMOTRON_SOURCE_DIR "/") + path, std::ios::binary);
  if (!file) throw Error({.what = "test data is missing", .where = path});
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Json test_data(const std::string& name) { return parse_json(repository_file("tests/data/" + name), name); }

inline const Json& member(const Json& object, const char* key) {
  const Json* found = object.find(key);
  if (!found) throw Error({.what = "test data lacks a member", .where = key});
  return *found;
}

// "3f800000" is 1.0f.
inline uint32_t hex_word(const Json& digits) { return uint32_t(std::stoul(digits.string(), nullptr, 16)); }
inline float hex_float(const Json& digits) { return std::bit_cast<float>(hex_word(digits)); }
inline std::vector<float> hex_floats(const Json& list) {
  std::vector<float> out;
  for (const Json& digits : list.array()) out.push_back(hex_float(digits));
  return out;
}
inline std::vector<uint8_t> bytes(const Json& list) {
  std::vector<uint8_t> out;
  for (const Json& code : list.array()) out.push_back(uint8_t(code.integer()));
  return out;
}

}  // namespace nemotron
