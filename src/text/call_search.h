// Looks through a thought that was never closed for the tool call that ends it.

#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "text/call_tags.h"
#include "text/tool_schema.h"

namespace nemotron {

// That call stands in the first block, begun by <tool_call>, that holds a closed call of an offered function; whether a
// block does, the text behind its beginning alone decides, even where it stands in a value of an earlier one. So each
// <tool_call> begins a reader of its own, and all of them read the same tags at once. Linear all the same, because:
//  * within a value a tag of text is open for all readers whose value began before it, so a reader does not count open
//    tags; it compares where its value began with where the innermost open tag stands;
//  * readers that from here on read the same are joined into the first of them;
//  * past `kWork` steps plus four a tag, which takes hundreds of readers that all differ, the search stops looking.
class CallSearch {
 public:
  CallSearch(const ToolSchemas& tools, size_t begin) : tools_(tools), tags_(begin) {}

  // Reads on in `text`, which starts with the texts of earlier calls; `end`: nothing is added any more.
  void advance(std::string_view text, bool end);

  // What stands before this is thought, whatever comes.
  size_t undecided() const { return std::min(first_, tags_.decided()); }
  // At the end: the <tool_call> that ends the thought.
  std::optional<size_t> found() const { return found_; }

 private:
  static constexpr size_t kNone = size_t(-1);
  static constexpr size_t kWork = 1 << 18;
  enum { kParameter, kFunction, kCall, kKinds };  // of tags that may be open within a value

  struct Reader {
    size_t call;                              // its <tool_call>
    const ToolSchema* schema;                 // of the function it is in; null: not offered
    std::unordered_set<uint32_t> given = {};  // parameters
    uint64_t digest = 0;                      // of `given`
    bool knows(std::string_view name) const {
      return !schema || schema->parameters.empty() || schema->parameters.contains(name);
    }
  };
  using Readers = std::vector<Reader>;

  // Readers in a value. None of a kind of tags is open for them where `begin` lies behind the innermost open one, and
  // `extra`, a tag next to the value's beginning which only they count, is not of that kind.
  struct Value {
    size_t begin;
    int extra;  // kKinds: none
    Readers readers;
  };

  void take(std::string_view text, const Tag& tag, std::optional<Follower> follower);
  void take_parameter(std::string_view name, const Tag& tag);
  void open(int kind, const Tag& tag);
  void close(int kind, const Tag& tag, bool may);
  void complete(const Readers& readers, bool in_block);
  void join_values(const Tag& tag);
  void drop_empty_values(size_t from);
  static void join_same(Readers& readers);
  bool idle() const { return !next_ && in_function_.empty() && values_.empty(); }
  size_t innermost(int kind) const { return open_[kind].empty() ? 0 : open_[kind].back() + 1; }
  size_t innermost() const { return std::max({innermost(0), innermost(1), innermost(2)}); }
  uint32_t name_id(std::string_view name);

  const ToolSchemas& tools_;
  TagScanner tags_;
  std::optional<Tag> pending_;  // came out of the scanner, but what follows it is not known yet
  std::optional<size_t> found_;
  size_t first_ = kNone;  // what may be the call begins here
  size_t work_ = 0, allowed_ = kWork;

  // The <tool_call> of the block whose next function may come now: behind that tag, or behind a function. The first one
  // where several meet, since they read the same from here on.
  std::optional<size_t> next_;
  size_t blank_ = 0;  // behind the last tag there are blanks to here
  Readers in_function_;
  std::vector<Value> values_;         // by their beginnings
  std::vector<size_t> open_[kKinds];  // where the open tags stand
  size_t extras_[kKinds + 1] = {};    // how many values have each kind of extra tag
  std::map<std::string, uint32_t, std::less<>> names_;
};

}  // namespace nemotron
