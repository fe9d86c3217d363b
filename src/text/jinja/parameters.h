// Arguments matched to the parameters of a built-in function, as Python does it.

#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "text/jinja/value.h"

namespace nemotron::jinja {

class Parameters {
 public:
  // `names` are the parameters in order; the first `required` have no default. With `positional_only` none may be
  // named.
  Parameters(const char* function, const Arguments& arguments, std::initializer_list<const char*> names,
             size_t required = 0, bool positional_only = false);

  bool has(size_t i) const { return !values_[i].is_missing(); }
  const Value& operator[](size_t i) const { return values_[i]; }  // missing where not given

  bool flag(size_t i, bool otherwise = false) const { return has(i) ? truth(values_[i]) : otherwise; }
  int64_t integer(size_t i, int64_t otherwise = 0) const;  // throws for another type
  bool is_none_or_missing(size_t i) const { return !has(i) || values_[i].is_none(); }
  // A string argument; throws for another type.
  const std::string& text(size_t i) const;

 private:
  const char* function_;
  std::array<Value, 8> values_;
};

}  // namespace nemotron::jinja
