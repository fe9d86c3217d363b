// Text escaped for HTML, as markupsafe does it.

#pragma once

#include <string>

#include "text/jinja/value.h"

namespace nemotron::jinja {

std::string escape_html(Heap& heap, const std::string& text);
// str(value), escaped unless it is markup already.
std::string escaped(const Value& value);
std::string escaped(Heap& heap, const Value& value);
// Without tags, entities resolved, runs of white space as one space.
std::string strip_tags(Heap& heap, const std::string& text);

}  // namespace nemotron::jinja
