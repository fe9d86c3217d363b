// Token ids from JSON, checked.

#include "cli/ids.h"

#include <fmt/format.h>

#include <algorithm>

#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "cli/options.h"

namespace nemotron::cli {
namespace {

std::vector<int32_t> parse_list(const Json& json, const std::string& where) {
  const auto fail = [&](const std::string& what, const std::string& found) {
    return Error({.what = what, .where = where, .expected = "a list of token ids such as [1, 17, 3]", .found = found});
  };
  if (!json.is_array()) throw fail("not a list", json.kind());
  if (json.array().empty()) throw fail("there is nothing to run", "an empty list");
  std::vector<int32_t> ids;
  ids.reserve(json.array().size());
  for (const Json& item : json.array()) {
    // Beyond 32 bits no vocabulary reaches; such an id is reported as out of range later, so it only must not wrap
    // around here.
    if (item.is_uint())
      ids.push_back(std::numeric_limits<int32_t>::max());
    else if (item.is_int())
      ids.push_back(int32_t(std::clamp<int64_t>(item.integer(), -1, std::numeric_limits<int32_t>::max())));
    else
      throw fail(fmt::format("item {} is not an integer", ids.size()), item.kind());
  }
  return ids;
}

}  // namespace

IdLists parse_ids(const std::string& text, const std::string& where) {
  const Json json = parse_json(text, where);
  IdLists ids;
  ids.batch = json.is_array() && !json.array().empty() && json.array()[0].is_array();
  if (!ids.batch)
    ids.lists.push_back(parse_list(json, where));
  else
    for (const Json& list : json.array())
      ids.lists.push_back(parse_list(list, fmt::format("{}: list {}", where, ids.lists.size())));
  return ids;
}

IdLists read_ids(const std::string& path) { return parse_ids(read_file(path), path); }

void check_ids(const IdLists& ids, index vocab_size, const std::string& where) {
  for (size_t s = 0; s < ids.lists.size(); ++s) {
    for (size_t i = 0; i < ids.lists[s].size(); ++i) {
      const int32_t id = ids.lists[s][i];
      if (id >= 0 && id < vocab_size) continue;
      throw Error({.what = "token id out of range",
                   .where = fmt::format("{}: {}item {}", where, ids.batch ? fmt::format("list {}, ", s) : "", i),
                   .expected = fmt::format("0 to {}", vocab_size - 1),
                   .found = id == std::numeric_limits<int32_t>::max() ? "a larger number"
                            : id < 0                                  ? "a negative number"
                                                                      : std::to_string(id),
                   .hint = "these ids belong to another tokenizer"});
    }
  }
}

}  // namespace nemotron::cli
