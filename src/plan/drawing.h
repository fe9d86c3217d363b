// The two pictures of a plan: caches against context, throughput against batch.

#pragma once

#include <string>

#include "plan/study.h"

namespace nemotron {

std::string draw_caches(const Study& study);      // an SVG
std::string draw_throughput(const Study& study);  // likewise

}  // namespace nemotron
