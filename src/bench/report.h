// What `nemotron bench` prints: a table in Markdown, row by row, or all of it as CSV or JSON.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/runner.h"
#include "bench/statistics.h"

namespace nemotron {

// What all rows have in common.
struct Setting {
  std::string version, cpu, target;  // the program's, "AMD EPYC 7763", "AVX2"
  std::vector<Limits> limits;        // one a count of threads
  std::string folder, formats;       // the last name of the path; "NVFP4 81 %, BF16 19 %" of the weights' bytes
  uint64_t weight_bytes = 0;
  std::string kv, state;  // formats
  bool exact = false;
  index chunk = 0;  // 0: all at once
  double startup_seconds = 0;
};

struct Peak {
  std::optional<uint64_t> measured = {};  // of the resident size, since the limits were measured
  std::optional<uint64_t> promised = {};  // by plan/resident.h for the largest test
  uint64_t kept = 0;                      // that the benchmark itself holds, to begin at a depth again and again
};

// The figures of a row. Each is the mean over the runs, so that they agree with each other.
struct Figures {
  Statistics rate;  // tokens of all sequences a second
  double ms_a_token = 0, ms_a_step = 0;
  double bytes = 0, operations = 0;                 // a second
  double bandwidth = 0, compute = 0, roofline = 0;  // shares of the limits, 1 being all
};
Figures figures(const Measured& m);

// Figures by name; every value is a string or a number.
Json::Object row_fields(const Measured& m);
// One a row of the ops' table; the last is "between the ops": all of a step that no op took.
std::vector<Json::Object> ops_fields(const Measured& m);

std::string markdown_head(const Setting& s, const std::vector<BenchTest>& tests);
std::string markdown_row(const Measured& m, const std::vector<BenchTest>& tests);
std::string markdown_tail(const std::vector<Measured>& rows, const Peak& peak);
// A line of names, then one for each test; with `ops` one for each op of each test in their place.
std::string csv_of(const Setting& s, const std::vector<Measured>& rows, const Peak& peak, bool ops);
Json json_of(const Setting& s, const std::vector<Measured>& rows, const Peak& peak);

}  // namespace nemotron
