// What each op must read and compute, and the functions that stand in for a backend's.

#include "bench/meter.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "model/footprint.h"

namespace nemotron {
namespace {

double vector_bytes(const Vector& v) { return double(v.size()) * sizeof(float); }

// "in_proj" of "backbone.layers.3.mixer.in_proj.weight", "experts.up_proj" of "….mixer.experts.7.up_proj.weight".
std::string module_of(std::string_view name) {
  if (name.ends_with(".weight")) name.remove_suffix(7);
  const size_t mixer = name.find(".mixer.");
  if (mixer == name.npos) return std::string(name.substr(name.rfind('.') + 1));
  name.remove_prefix(mixer + 7);
  std::string module;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part.find_first_not_of("0123456789") != part.npos) module += (module.empty() ? "" : ".") + std::string(part);
    at = end + 1;
  }
  return module;
}

Cost linear_cost(std::span<const Group> groups, Activations a) {
  Cost c;
  for (const Group& g : groups) {
    if (g.end <= g.begin) continue;
    c.bytes += double(matrix_bytes(*g.w));
    (takes_int8(*g.w, a) ? c.int8 : c.f32) += 2 * double(g.w->rows) * double(g.w->cols) * double(g.end - g.begin);
  }
  return c;
}

index rows_of(std::span<const Segment> segments) {
  index rows = 0;
  for (const Segment& s : segments) rows += s.size();
  return rows;
}

// Keys and values of the tokens before are read; the rows' own come from kv_store and are counted there.
Cost attention_cost(const AttentionShape& shape, std::span<const Segment> segments, std::span<const KvCache> caches,
                    Real real) {
  Cost c;
  for (size_t i = 0; i < segments.size(); ++i) {
    const auto n = double(segments[i].size()), before = double(caches[i].position);
    c.bytes += before * double(2 * shape.kv_heads * shape.head_dim) * double(kv_size(caches[i].format, real));
    c.f32 += 4 * double(shape.heads * shape.head_dim) * (n * before + n * (n + 1) / 2);
  }
  return c;
}

Cost kv_store_cost(const AttentionShape& shape, std::span<const Segment> segments, std::span<const KvCache> caches,
                   Real real) {
  Cost c;
  for (size_t i = 0; i < segments.size(); ++i)
    c.bytes +=
        double(segments[i].size() * 2 * shape.kv_heads * shape.head_dim) * double(kv_size(caches[i].format, real));
  return c;
}

// States are read and written; 5 operations on each number: a S + x B is 3, S C is 2.
Cost scan_cost(const ScanShape& shape, std::span<const Segment> segments, std::span<const SsmState> states, Real real) {
  const auto numbers = double(shape.heads * shape.head_dim * shape.state_size);
  Cost c;
  for (const SsmState& s : states) c.bytes += 2 * numbers * double(ssm_size(s.format, real));
  c.f32 = 5 * numbers * double(rows_of(segments));
  return c;
}

Cost conv_cost(Rows x, const Vector& taps, const Vector& bias, std::span<const Rows> tails) {
  Cost c{.bytes = vector_bytes(taps) + vector_bytes(bias), .f32 = 2 * double(taps.size()) * double(x.rows)};
  for (const Rows& tail : tails) c.bytes += 2 * double(tail.rows * tail.cols) * double(real_size(tail.real));
  return c;
}

}  // namespace

Meter* Meter::alive = nullptr;

enum Meter::Op : size_t {
  op_embed,
  op_rms_norm,
  op_gated_rms_norm,
  op_add,
  op_relu2,
  op_causal_conv,
  op_ssm_scan,
  op_kv_store,
  op_attention,
  op_route,
  op_combine,
  op_gather,
  op_count
};

template <class Call>
void Meter::measure(OpTotal& total, const Cost& cost, const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  call(real_);
  total.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  total.calls += 1;
  total.limit_seconds += limits_.seconds(cost);
  total.cost += cost;
  pass_ += cost;
}

struct Meter::Calls {
  template <class Call>
  static void measure(Op op, const Cost& cost, const Call& call) {
    alive->measure(alive->totals_[op], cost, call);
  }
  static Real real() { return alive->real_.real; }

  static void embed(Threads& t, const Matrix& table, std::span<const int32_t> ids, Rows y) {
    measure(op_embed, {.bytes = double(matrix_bytes(table) / uint64_t(table.rows) * ids.size())},
            [&](const Backend& b) { b.embed(t, table, ids, y); });
  }
  static void rms_norm(Threads& t, Rows x, const Vector& weight, index groups, double eps, Rows y) {
    measure(op_rms_norm, {.bytes = vector_bytes(weight)},
            [&](const Backend& b) { b.rms_norm(t, x, weight, groups, eps, y); });
  }
  static void gated_rms_norm(Threads& t, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y) {
    measure(op_gated_rms_norm, {.bytes = vector_bytes(weight)},
            [&](const Backend& b) { b.gated_rms_norm(t, x, gate, weight, groups, eps, y); });
  }
  static void linear(Threads& t, Arena& arena, std::span<const Group> groups, Rows x, Rows y, Activations a) {
    OpTotal& total = alive->linear_total(groups.empty() ? nullptr : groups[0].w);
    total.matrices += double(groups.size());
    alive->measure(total, linear_cost(groups, a), [&](const Backend& b) { b.linear(t, arena, groups, x, y, a); });
  }
  static void add(Threads& t, Rows x, Rows y) {
    measure(op_add, {}, [&](const Backend& b) { b.add(t, x, y); });
  }
  static void relu2(Threads& t, Rows x) {
    measure(op_relu2, {}, [&](const Backend& b) { b.relu2(t, x); });
  }
  static void causal_conv(Threads& t, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                          std::span<const Rows> tails, Rows y) {
    measure(op_causal_conv, conv_cost(x, taps, bias, tails),
            [&](const Backend& b) { b.causal_conv(t, x, taps, bias, segments, tails, y); });
  }
  static void ssm_scan(Threads& t, Arena& arena, const ScanShape& shape, Rows xbc, Rows dt, const Vector& A_log,
                       const Vector& D, const Vector& dt_bias, double dt_min, std::span<const Segment> segments,
                       std::span<const SsmState> states, Rows y) {
    measure(op_ssm_scan, scan_cost(shape, segments, states, real()), [&](const Backend& b) {
      b.ssm_scan(t, arena, shape, xbc, dt, A_log, D, dt_bias, dt_min, segments, states, y);
    });
  }
  static void kv_store(Threads& t, const AttentionShape& shape, Rows k, Rows v, std::span<const Segment> segments,
                       std::span<const KvCache> caches) {
    measure(op_kv_store, kv_store_cost(shape, segments, caches, real()),
            [&](const Backend& b) { b.kv_store(t, shape, k, v, segments, caches); });
  }
  static void attention(Threads& t, Arena& arena, const AttentionShape& shape, Rows q,
                        std::span<const Segment> segments, std::span<const KvCache> caches, Rows y) {
    measure(op_attention, attention_cost(shape, segments, caches, real()),
            [&](const Backend& b) { b.attention(t, arena, shape, q, segments, caches, y); });
  }
  static void route(Threads& t, const RouteShape& shape, Rows logits, const Vector& bias, Routes routes) {
    measure(op_route, {.bytes = vector_bytes(bias)},
            [&](const Backend& b) { b.route(t, shape, logits, bias, routes); });
  }
  static void combine(Threads& t, index experts, const Routes& routes, std::span<const index> rows, Rows x, Rows y) {
    measure(op_combine, {}, [&](const Backend& b) { b.combine(t, experts, routes, rows, x, y); });
  }
  static void gather(Threads& t, std::span<const index> rows, Rows x, Rows y) {
    measure(op_gather, {}, [&](const Backend& b) { b.gather(t, rows, x, y); });
  }
};

Meter::Meter(const Backend& real, const Model& model, const Limits& limits)
    : real_(real), limits_(limits), table_(real), totals_(op_count) {
  // Names all members, so that an op without an entry here does not compile.
  auto& [name, numbers, embed, rms_norm, gated_rms_norm, linear, add, relu2, causal_conv, ssm_scan, kv_store, attention,
         route, combine, gather] = table_;
  static_cast<void>(name), static_cast<void>(numbers);
  linear = Calls::linear;
  const auto entry = [this](Op op, const char* title, auto& member, auto call) {
    member = call;
    totals_[op].op = title;
  };
  entry(op_embed, "embed", embed, Calls::embed);
  entry(op_rms_norm, "rms_norm", rms_norm, Calls::rms_norm);
  entry(op_gated_rms_norm, "gated_rms_norm", gated_rms_norm, Calls::gated_rms_norm);
  entry(op_add, "add", add, Calls::add);
  entry(op_relu2, "relu2", relu2, Calls::relu2);
  entry(op_causal_conv, "causal_conv", causal_conv, Calls::causal_conv);
  entry(op_ssm_scan, "ssm_scan", ssm_scan, Calls::ssm_scan);
  entry(op_kv_store, "kv_store", kv_store, Calls::kv_store);
  entry(op_attention, "attention", attention, Calls::attention);
  entry(op_route, "route", route, Calls::route);
  entry(op_combine, "combine", combine, Calls::combine);
  entry(op_gather, "gather", gather, Calls::gather);

  const auto visit = [this](const Entry& e, auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, Matrix>) {
      if (e.role == Role::embedding) return;
      const auto same = [&, module = module_of(e.name)](const OpTotal& t) {
        return t.module == module && t.format == member.format && t.rows == member.rows && t.cols == member.cols;
      };
      auto at = std::find_if(totals_.begin() + op_count, totals_.end(), same);
      if (at == totals_.end())
        at = totals_.insert(at, {.op = "linear",
                                 .module = module_of(e.name),
                                 .format = member.format,
                                 .rows = member.rows,
                                 .cols = member.cols});
      linears_[&member] = size_t(at - totals_.begin());
    }
  };
  // The list hands out members to be written; nothing is.
  visit_weights(model.config, const_cast<Weights&>(model.weights), visit);
  if (model.config.tie_word_embeddings) {
    const Matrix& head = model.weights.lm_head;
    linears_[&head] = totals_.size();
    totals_.push_back(
        {.op = "linear", .module = "lm_head", .format = head.format, .rows = head.rows, .cols = head.cols});
  }
  alive = this;
}

Meter::~Meter() { alive = nullptr; }

OpTotal& Meter::linear_total(const Matrix* w) {
  const auto [at, added] = linears_.try_emplace(w, totals_.size());
  if (added) {
    totals_.push_back({.op = "linear"});
    if (w) totals_.back().format = w->format, totals_.back().rows = w->rows, totals_.back().cols = w->cols;
  }
  return totals_[at->second];
}

void Meter::end_pass() {
  passes_ += 1;
  limit_seconds_ += limits_.seconds(pass_);
  cost_ += pass_;
  pass_ = {};
}

std::vector<OpTotal> Meter::ops() const {
  std::vector<OpTotal> called;
  for (const OpTotal& t : totals_)
    if (t.calls > 0) called.push_back(t);
  std::stable_sort(called.begin(), called.end(),
                   [](const OpTotal& a, const OpTotal& b) { return a.seconds > b.seconds; });
  return called;
}

}  // namespace nemotron
