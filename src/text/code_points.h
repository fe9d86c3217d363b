// A set of Unicode code points as sorted ranges, with the algebra that character classes need.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace nemotron {

class CodePoints {
 public:
  struct Range {
    char32_t first, last;  // inclusive
    friend bool operator==(const Range&, const Range&) = default;
  };
  static constexpr char32_t kLast = 0x10FFFF;

  CodePoints() = default;
  CodePoints(std::initializer_list<Range> ranges) : CodePoints(std::vector<Range>(ranges)) {}
  explicit CodePoints(std::vector<Range> ranges);  // in any order, may overlap

  const std::vector<Range>& ranges() const { return ranges_; }  // ascending, neither touching nor overlapping
  bool contains(char32_t c) const;
  CodePoints complement() const;

  friend CodePoints operator|(const CodePoints& a, const CodePoints& b);
  friend CodePoints operator&(const CodePoints& a, const CodePoints& b);
  friend CodePoints operator-(const CodePoints& a, const CodePoints& b) { return a & b.complement(); }
  friend bool operator==(const CodePoints&, const CodePoints&) = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace nemotron
