// Rows to text, the same figures in each form.

#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/figures.h"

namespace nemotron {
namespace {

std::string percent(double share) { return fmt::format("{:.{}f} %", 100 * share, share < 0.0995 ? 1 : 0); }

// As many digits as mean something: "0.123", "12.3", "1234".
std::string number(double n) {
  const double size = std::abs(n);
  return fmt::format("{:.{}f}", n, size >= 999.5 ? 0 : size >= 99.95 ? 1 : size >= 0.9995 ? 2 : 3);
}

// A line of a Markdown table that is also one to the eye: the first column to the left, the others to the right.
std::string line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string text = "|";
  for (size_t i = 0; i < cells.size(); ++i)
    text += i == 0 ? fmt::format(" {:<{}} |", cells[i], widths[i]) : fmt::format(" {:>{}} |", cells[i], widths[i]);
  return text + "\n";
}

std::string rule(const std::vector<size_t>& widths, size_t left) {
  std::string text = "|";
  for (size_t i = 0; i < widths.size(); ++i)
    text += std::string(widths[i] + (i < left ? 2 : 1), '-') + (i < left ? "|" : ":|");
  return text + "\n";
}

const std::vector<std::string> kColumns = {"test", "threads",  "batch", "tokens/s",   "ms",
                                           "GB/s", "of reads", "GOP/s", "of compute", "of roofline"};

std::vector<size_t> widths(const std::vector<BenchTest>& tests) {
  std::vector<size_t> w;
  for (const std::string& c : kColumns) w.push_back(c.size());
  for (const BenchTest& t : tests) w[0] = std::max(w[0], t.name().size());
  w[3] = 18, w[4] = 7, w[5] = 6, w[7] = 6;
  return w;
}

std::string limits_line(const Limits& l, uint64_t weights) {
  const std::string cached =
      l.cached > 0 ? fmt::format(" ({:.2f} of {} again and again)", l.cached / 1e9, in_bytes(double(weights))) : "";
  return fmt::format("  {} thread{}: {:.2f} GB/s read{}, {:.0f} GFLOP/s in float32, {:.0f} GOP/s in int8\n", l.threads,
                     l.threads == 1 ? "" : "s", l.bandwidth / 1e9, cached, l.f32 / 1e9, l.int8 / 1e9);
}

std::string chunk_name(index chunk) { return chunk == 0 ? "all at once" : std::to_string(chunk); }

// ---- ops ----

std::string op_name(const OpTotal& t) { return t.module.empty() ? t.op : t.op + " " + t.module; }

std::string markdown_ops(const Measured& m) {
  std::vector<std::vector<std::string>> cells = {
      {"op", "N x K", "weights", "calls a step", "us a call", "share", "GB/s", "GOP/s", "of limit"}};
  double inside = 0;
  for (const OpTotal& t : m.ops) {
    inside += t.seconds;
    const bool bytes = t.cost.bytes > 0, operations = t.cost.operations() > 0;
    cells.push_back({op_name(t), t.rows > 0 ? fmt::format("{} x {}", t.rows, t.cols) : "",
                     t.rows > 0 ? format_name(t.format) : "", number(t.calls / m.ops_passes),
                     number(t.seconds / t.calls * 1e6), fmt::format("{:.1f} %", 100 * t.seconds / m.ops_seconds),
                     bytes ? number(t.cost.bytes / t.seconds / 1e9) : "",
                     operations ? number(t.cost.operations() / t.seconds / 1e9) : "",
                     bytes || operations ? percent(t.limit_seconds / t.seconds) : ""});
  }
  const double between = m.ops_seconds - inside;
  cells.push_back({"between the ops", "", "", "1", number(between / m.ops_passes * 1e6),
                   fmt::format("{:.1f} %", 100 * between / m.ops_seconds), "", "", ""});
  std::vector<size_t> w(cells[0].size());
  for (const auto& row : cells)
    for (size_t i = 0; i < row.size(); ++i) w[i] = std::max(w[i], row[i].size());
  std::string text =
      fmt::format("\n{}, {} thread{}, batch {}: a step of {}, op by op\n\n", m.test.name(), m.test.threads,
                  m.test.threads == 1 ? "" : "s", m.test.batch, in_seconds(m.ops_seconds / m.ops_passes));
  text += line(cells[0], w) + rule(w, 1);
  for (size_t i = 1; i < cells.size(); ++i) text += line(cells[i], w);
  return text;
}

// ---- CSV ----

std::string csv_cell(const Json& value) {
  if (!value.is_string()) return value.is_null() ? "" : value.dump();
  std::string quoted = "\"";
  for (const char c : value.string()) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void append_csv(std::string& text, const Json::Object& fields) {
  if (text.empty())
    for (const auto& [name, value] : fields) text += (text.empty() ? "" : ",") + name;
  text += '\n';
  for (size_t i = 0; i < fields.size(); ++i) text += (i ? "," : "") + csv_cell(fields[i].second);
}

Json::Object setting_fields(const Setting& s) {
  return {{"version", s.version},
          {"cpu", s.cpu},
          {"target", s.target},
          {"folder", s.folder},
          {"formats", s.formats},
          {"weight_bytes", s.weight_bytes},
          {"kv", s.kv},
          {"state", s.state},
          {"exact", s.exact ? 1 : 0},
          {"chunk", s.chunk},
          {"startup_seconds", s.startup_seconds}};
}

Json::Object peak_fields(const Peak& p) {
  return {{"peak_bytes", p.measured ? Json(*p.measured) : Json()},
          {"promised_bytes", p.promised ? Json(*p.promised) : Json()},
          {"kept_by_bench_bytes", p.kept}};
}

Json limits_json(const Limits& l) {
  return Json()
      .set("threads", l.threads)
      .set("bytes_per_second", l.bandwidth)
      .set("cached_bytes_per_second", l.cached > 0 ? Json(l.cached) : Json())
      .set("f32_per_second", l.f32)
      .set("int8_per_second", l.int8);
}

}  // namespace

Figures figures(const Measured& m) {
  Figures f;
  const double tokens = double(m.test.tokens) * m.test.batch;
  std::vector<double> rates;
  for (const double s : m.seconds) rates.push_back(tokens / s);
  f.rate = statistics(rates);
  const double runs = f.rate.mean / tokens;  // a second
  if (!(runs > 0)) return f;
  f.ms_a_token = 1e3 / f.rate.mean;
  f.ms_a_step = 1e3 / runs / m.passes;
  f.bytes = m.cost.bytes * runs;
  f.operations = m.cost.operations() * runs;
  f.bandwidth = m.limits.memory_seconds(m.cost) * runs;
  f.compute = m.limits.compute_seconds(m.cost) * runs;
  f.roofline = m.limit_seconds * runs;
  return f;
}

Json::Object row_fields(const Measured& m) {
  const Figures f = figures(m);
  return {{"test", m.test.name()},
          {"kind", m.test.decode ? "gen" : "prompt"},
          {"tokens", m.test.tokens},
          {"depth", m.test.depth},
          {"threads", m.test.threads},
          {"batch", m.test.batch},
          {"repeat", int64_t(m.seconds.size())},
          {"tokens_per_second", f.rate.mean},
          {"sd", f.rate.sd},
          {"median", f.rate.median},
          {"least", f.rate.least},
          {"greatest", f.rate.greatest},
          {"ms_per_token", f.ms_a_token},
          {"ms_per_step", f.ms_a_step},
          {"steps", m.passes},
          {"gb_per_second", f.bytes / 1e9},
          {"percent_of_bandwidth", 100 * f.bandwidth},
          {"gop_per_second", f.operations / 1e9},
          {"percent_of_compute", 100 * f.compute},
          {"percent_of_roofline", 100 * f.roofline},
          {"bytes_per_run", m.cost.bytes},
          {"f32_operations_per_run", m.cost.f32},
          {"int8_operations_per_run", m.cost.int8},
          {"experts_a_layer", m.experts},
          {"limit_gb_per_second", m.limits.reading() / 1e9},
          {"limit_f32_gflop_per_second", m.limits.f32 / 1e9},
          {"limit_int8_gop_per_second", m.limits.int8 / 1e9}};
}

std::vector<Json::Object> ops_fields(const Measured& m) {
  std::vector<Json::Object> all;
  const auto add = [&](const OpTotal& t, bool limited) {
    const bool matrix = t.rows > 0;
    all.push_back({{"test", m.test.name()},
                   {"threads", m.test.threads},
                   {"batch", m.test.batch},
                   {"op", t.op},
                   {"module", t.module},
                   {"n", matrix ? Json(t.rows) : Json()},
                   {"k", matrix ? Json(t.cols) : Json()},
                   {"format", matrix ? Json(format_name(t.format)) : Json()},
                   {"calls_a_step", t.calls / m.ops_passes},
                   {"us_a_call", t.seconds / t.calls * 1e6},
                   {"percent_of_step", 100 * t.seconds / m.ops_seconds},
                   {"gb_per_second", limited ? Json(t.cost.bytes / t.seconds / 1e9) : Json()},
                   {"gop_per_second", limited ? Json(t.cost.operations() / t.seconds / 1e9) : Json()},
                   {"percent_of_limit", limited ? Json(100 * t.limit_seconds / t.seconds) : Json()}});
  };
  double inside = 0;
  for (const OpTotal& t : m.ops) {
    add(t, t.limit_seconds > 0);
    inside += t.seconds;
  }
  add({.op = "between the ops", .calls = m.ops_passes, .seconds = m.ops_seconds - inside}, false);
  return all;
}

std::string markdown_head(const Setting& s, const std::vector<BenchTest>& tests) {
  std::string text = fmt::format("nemotron {} on {}, {}\nlimits, measured now:\n", s.version, s.cpu, s.target);
  for (const Limits& l : s.limits) text += limits_line(l, s.weight_bytes);
  text += fmt::format("{}: {} of weights ({}), ready for its first token {} after it was asked for\n", s.folder,
                      in_bytes(double(s.weight_bytes)), s.formats, in_seconds(s.startup_seconds));
  text += fmt::format("keys and values {}, Mamba states {}, activations of NVFP4 weights {}, prompts in chunks: {}\n\n",
                      s.kv, s.state, s.exact ? "float32" : "int8", chunk_name(s.chunk));
  const std::vector<size_t> w = widths(tests);
  return text + line(kColumns, w) + rule(w, 1);
}

std::string markdown_row(const Measured& m, const std::vector<BenchTest>& tests) {
  const Figures f = figures(m);
  return line({m.test.name(), std::to_string(m.test.threads), std::to_string(m.test.batch),
               fmt::format("{} ± {}", number(f.rate.mean), number(f.rate.sd)),
               number(m.test.decode ? f.ms_a_step : f.ms_a_token), number(f.bytes / 1e9), percent(f.bandwidth),
               number(f.operations / 1e9), percent(f.compute), percent(f.roofline)},
              widths(tests));
}

std::string markdown_tail(const std::vector<Measured>& rows, const Peak& peak) {
  std::string text =
      "\nppN: a prompt of N tokens, the logits of its last. tgN: N steps of one token and its logits. @ dN: N tokens "
      "in "
      "the cache before.\n"
      "tokens/s: of all sequences, mean ± standard deviation; the tokens are pseudo-random, the same in each run. ms: "
      "a "
      "token of a prompt,\n"
      "a step of decoding. GB/s: what must be read and written: dense weights once a pass, the experts that were "
      "picked, "
      "states, keys and\n"
      "values; of reads: of the bandwidth above, of that in brackets where there is one. GOP/s: two for each "
      "multiply-add; of compute: the time\n"
      "of the int8 and the float32 products at their peaks. of roofline: for each pass the longer of the two.\n"
      "More than all of a limit is what a cache served.\n";
  for (const Measured& m : rows)
    if (!m.ops.empty()) text += markdown_ops(m);
  if (!peak.measured) return text + "\npeak memory: unknown, the system does not reset it (/proc/self/clear_refs)\n";
  text += fmt::format("\npeak memory: {}", in_bytes(double(*peak.measured)));
  if (peak.promised) {
    const double expected = double(*peak.promised + peak.kept);
    text += fmt::format("; `nemotron plan` promises {} for this context, batch and chunk",
                        in_bytes(double(*peak.promised)));
    if (peak.kept > 0) text += fmt::format(", and {} are kept to begin again", in_bytes(double(peak.kept)));
    text += fmt::format(" ({:+.1f} %)", 100 * (double(*peak.measured) / expected - 1));
  }
  return text + "\n";
}

std::string csv_of(const Setting& s, const std::vector<Measured>& rows, const Peak& peak, bool ops) {
  std::string text;
  const auto add = [&](Json::Object fields) {
    for (const Json::Object& more : {setting_fields(s), peak_fields(peak)})
      fields.insert(fields.end(), more.begin(), more.end());
    append_csv(text, fields);
  };
  for (const Measured& m : rows) {
    if (!ops) {
      add(row_fields(m));
      continue;
    }
    for (const Json::Object& fields : ops_fields(m)) add(fields);
  }
  return text.empty() ? text : text + "\n";
}

Json json_of(const Setting& s, const std::vector<Measured>& rows, const Peak& peak) {
  Json out(setting_fields(s));
  Json::Array limits, tests;
  for (const Limits& l : s.limits) limits.push_back(limits_json(l));
  for (const Measured& m : rows) {
    Json test(row_fields(m));
    Json::Array rates;
    for (const double seconds : m.seconds) rates.push_back(double(m.test.tokens) * m.test.batch / seconds);
    test.set("samples", std::move(rates));
    if (!m.ops.empty()) {
      Json::Array ops;
      for (Json::Object& fields : ops_fields(m)) {
        fields.erase(fields.begin(), fields.begin() + 3);  // the test's own
        ops.push_back(std::move(fields));
      }
      test.set("ops_ms_per_step", 1e3 * m.ops_seconds / m.ops_passes).set("ops", std::move(ops));
    }
    tests.push_back(std::move(test));
  }
  return out.set("limits", std::move(limits)).set("tests", std::move(tests)).set("memory", peak_fields(peak));
}

}  // namespace nemotron
