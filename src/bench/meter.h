// A Meter: a backend that passes every call on to a real one and writes down what it cost and how long it took.

#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "bench/cost.h"
#include "model/model.h"
#include "ops/ops.h"

namespace nemotron {

// All calls of one op; of `linear`, those with the matrices that have the same place in a layer, shape and format.
struct OpTotal {
  std::string op = {};      // "linear", "ssm_scan"
  std::string module = {};  // of a linear: "in_proj", "experts.up_proj", "lm_head"; otherwise empty
  Format format = Format::f32;
  index rows = 0, cols = 0;  // of a linear's matrix: N, K
  double calls = 0, seconds = 0;
  double matrices = 0;       // of a linear, read: one a call, or as many as experts were picked
  double limit_seconds = 0;  // the sum of the calls' own limits
  Cost cost = {};
};

// What a decode step or prefill must read is known only when it runs, because it picks its experts then: so it is
// counted here, call by call, with the rules of plan/plan.h. The table's entries are plain functions without a place
// for an object, so they find the one Meter that is alive in a static variable: there can be one at a time.
class Meter {
 public:
  Meter(const Backend& real, const Model& model, const Limits& limits);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  const Backend& table() const { return table_; }

  // Called after each pass through the model. Limits hold for a pass as a whole: within one, an op may read for the
  // next while it computes.
  void end_pass();

  double passes() const { return passes_; }
  double limit_seconds() const { return limit_seconds_; }  // the sum of the passes'
  const Cost& cost() const { return cost_; }
  // Ops that were called, in the order of the time they took.
  std::vector<OpTotal> ops() const;

 private:
  struct Calls;  // the entries of the table
  enum Op : size_t;

  OpTotal& linear_total(const Matrix* w);
  template <class Call>
  void measure(OpTotal& total, const Cost& cost, const Call& call);

  static Meter* alive;
  const Backend& real_;
  const Limits limits_;
  Backend table_;
  std::vector<OpTotal> totals_;  // one for each Op, then one for each kind of matrix
  std::unordered_map<const Matrix*, size_t> linears_;
  Cost pass_, cost_;
  double passes_ = 0, limit_seconds_ = 0;
};

}  // namespace nemotron
