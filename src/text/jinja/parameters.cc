// Parameters: positional first, then by name.

#include "text/jinja/parameters.h"

#include "text/jinja/failure.h"
#include "text/jinja/operators.h"

namespace nemotron::jinja {

Parameters::Parameters(const char* function, const Arguments& arguments, std::initializer_list<const char*> names,
                       size_t required, bool positional_only)
    : function_(function) {
  const std::string prefix = std::string(function) + "() ";
  if (arguments.positional.size() > names.size()) {
    fail_value(prefix + "takes at most " + std::to_string(names.size()) + " arguments (" +
               std::to_string(arguments.positional.size()) + " given)");
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    if (positional_only) fail_value(prefix + "takes no keyword arguments");
    size_t i = 0;
    while (i < names.size() && name != names.begin()[i]) ++i;
    if (i == names.size()) fail_value(prefix + "got an unexpected keyword argument '" + name + "'");
    if (has(i)) fail_value(prefix + "got multiple values for argument '" + name + "'");
    values_[i] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!has(i)) fail_value(prefix + "missing a required argument: '" + names.begin()[i] + "'");
  }
}

int64_t Parameters::integer(size_t i, int64_t otherwise) const { return has(i) ? to_index(values_[i]) : otherwise; }

const std::string& Parameters::text(size_t i) const {
  if (!values_[i].is(Kind::string)) {
    if (values_[i].is(Kind::undefined)) values_[i].as<Undefined>().raise();
    fail_value(std::string(function_) + "() argument must be str, not " + type_name(values_[i]));
  }
  return text_of(values_[i]);
}

}  // namespace nemotron::jinja
