// Chooses ranges, ticks and samples for the pictures of a plan.

#include "plan/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/chart.h"
#include "plan/figures.h"

namespace nemotron {
namespace {

constexpr int kSamples = 240;

// Powers of two from low to high, at most `most` of them.
std::vector<double> powers(double low, double high, int most) {
  const int begin = int(std::ceil(std::log2(low) - 1e-9)), end = int(std::floor(std::log2(high) + 1e-9));
  const int step = std::max(1, (end - begin + most - 1) / most);
  std::vector<double> out;
  for (int e = (begin + step - 1) / step * step; e <= end; e += step) out.push_back(std::exp2(e));
  return out;
}

std::string byte_tick(double bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 5) bytes /= 1024, ++unit;
  return fmt::format("{:.0f} {}", bytes, units[unit]);
}

std::vector<double> log_samples(double low, double high) {
  std::vector<double> out;
  for (int i = 0; i <= kSamples; ++i) out.push_back(low * std::pow(high / low, double(i) / kSamples));
  return out;
}

double cache_at(const Architecture& a, NumberFormat kv, double context, double state) {
  double bytes = state;
  for (const AttentionGroup& g : a.attention)
    bytes += g.numbers_a_token().real() * format_bits(kv) / 8 *
             (g.window == 0 ? context : std::min(context, double(g.window)));
  return bytes;
}

struct CacheCurve {
  int series;
  const Architecture* architecture;
  NumberFormat kv;
  double state;
  std::string label;
  Chart::Stroke stroke;
};

}  // namespace

std::string draw_caches(const Study& s) {
  const StudyOptions& o = s.options;
  const Architecture& a = o.subject.architecture;
  CacheFormats f = o.subject.deployed;
  f.state = NumberFormat::f32;
  const double own_state = state_bytes(a, f).real();
  const std::vector<Subject>& others = o.against.empty() ? o.caches_against : o.against;

  std::vector<CacheCurve> curves;
  if (others.empty()) {
    for (const NumberFormat kv : {NumberFormat::f32, NumberFormat::bf16, NumberFormat::fp8})
      curves.push_back({kv == NumberFormat::bf16  ? 0
                        : kv == NumberFormat::fp8 ? 2
                                                  : 1,
                        &a, kv, own_state, fmt::format("KV in {}", format_name(kv)), Chart::Stroke::solid});
  } else {
    curves.push_back({0, &a, NumberFormat::bf16, own_state, a.label, Chart::Stroke::solid});
  }
  int series = 1;
  for (const Subject& other : others) {
    CacheFormats g = other.deployed;
    g.state = NumberFormat::f32;
    const double state = state_bytes(other.architecture, g).real();
    curves.push_back(
        {series, &other.architecture, NumberFormat::bf16, state, other.architecture.label, Chart::Stroke::solid});
    if (state > 0) curves.push_back({series, &other.architecture, NumberFormat::bf16, 0, "", Chart::Stroke::dashed});
    ++series;
  }

  const double low = 256, high = double(std::max<uint64_t>(std::max(a.most_context, o.context), 1 << 20));
  double least = 1e300, most = 1;
  for (const CacheCurve& c : curves) {
    const double begin = cache_at(*c.architecture, c.kv, low, c.state),
                 end = cache_at(*c.architecture, c.kv, high, c.state);
    if (begin > 0) least = std::min(least, begin);
    most = std::max(most, end);
  }
  if (least > most) least = 1;
  ChartAxis x{"tokens of context", low, high, {}},
      y{"bytes a sequence", least / 1.5, std::max(most * 1.3, least * 16), {}};
  for (const double tick : powers(low, high, 6)) x.ticks.push_back({tick, in_tokens(uint64_t(tick))});
  for (const double tick : powers(y.low, y.high, 8)) y.ticks.push_back({tick, byte_tick(tick)});
  Chart chart(fmt::format("What a sequence of {} keeps in memory", a.label),
              "keys and values, sliding windows, and states of fixed size" +
                  std::string(others.empty() ? "" : "; KV in 16 bits, states in float32"),
              x, y);
  for (const CacheCurve& c : curves) {
    std::vector<Chart::Point> points;
    for (const double n : log_samples(low, high)) points.emplace_back(n, cache_at(*c.architecture, c.kv, n, c.state));
    chart.line(c.series, std::move(points), c.stroke, c.label);
  }
  series = 1;
  for (const CacheComparison& c : s.caches) {
    const auto marks = [&](const std::vector<Crossing>& all, bool full) {
      for (const Crossing& at : all)
        chart.mark(series, {at.context, cache_at(a, NumberFormat::bf16, at.context, own_state)}, full,
                   fmt::format("equal at {}", grouped(uint64_t(at.context))));
    };
    marks(c.all_counted, true);
    if (c.keys_and_values.size() != c.all_counted.size() ||
        (!c.all_counted.empty() && c.keys_and_values[0].context != c.all_counted[0].context))
      marks(c.keys_and_values, false);
    ++series;
  }
  if (std::any_of(curves.begin(), curves.end(), [](const CacheCurve& c) { return c.stroke == Chart::Stroke::dashed; }))
    chart.note("Dashed: keys and values alone, the model's own state of fixed size not counted.");
  return chart.svg();
}

std::string draw_throughput(const Study& s) {
  const StudyOptions& o = s.options;
  std::vector<const Subject*> subjects = {&o.subject};
  std::vector<const OnMachine*> places;
  const OnMachine* own = s.chosen ? &*s.chosen : nullptr;
  if (!s.side_by_side.empty() && !(own && own->machine.own)) {
    for (const OnMachine& at : s.side_by_side) places.push_back(&at);
    for (const Subject& other : o.against) subjects.push_back(&other);
  } else if (own) {
    places = {own};
  } else {
    for (const OnMachine& at : s.machines)
      if (at.machine.name == "B200") places = {&at};
  }

  // Far enough to see every knee and limit, but no further than batches that somebody might run.
  double most_batch = 16;
  for (const OnMachine* at : places) {
    most_batch = std::max(most_batch, 4 * double(std::min<uint64_t>(at->largest_batch, 1 << 15)));
    if (at->compute_bound_batch)
      most_batch = std::max(most_batch, 4 * double(std::min<uint64_t>(*at->compute_bound_batch, 1 << 15)));
  }
  most_batch = std::exp2(std::ceil(std::log2(most_batch)));
  const auto rate = [&](size_t i, double batch) {
    Workload w = places[i]->workload;
    w.batch = uint64_t(std::max(batch, 1.0));
    return decode_step(subjects[i]->architecture, w, places[i]->machine);
  };
  double least = 1e300, most = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    const Work one = rate(i, 1), all = rate(i, most_batch);
    least = std::min(least, one.tokens / one.seconds());
    most = std::max(most, all.tokens / all.seconds());
  }
  const Work all = rate(0, most_batch);
  const double roof = all.tokens / all.seconds_compute;

  const OnMachine& at = *places[0];
  ChartAxis x{"sequences at once", 1, most_batch, {}},
      y{"tokens a second, all sequences together", least / 1.4, std::max({most, std::min(roof, 30 * most)}) * 1.5, {}};
  for (const double tick : powers(1, most_batch, 8)) x.ticks.push_back({tick, grouped(uint64_t(tick))});
  for (double tick = std::pow(10, std::floor(std::log10(y.low))); tick <= y.high; tick *= 10)
    for (const double times : {1.0, 2.0, 5.0}) {
      const bool few = y.high / y.low < 200;
      if ((times == 1 || few) && tick * times >= y.low && tick * times <= y.high)
        y.ticks.push_back({tick * times, plain_number(tick * times)});
    }
  Chart chart(
      fmt::format("How fast {} can decode on {}", o.subject.architecture.label, at.machine.title),
      fmt::format(
          "{} tokens behind each sequence; weights {}, KV {}; the limits of memory and arithmetic, nothing lost",
          grouped(o.context), o.subject.weights, format_name(at.workload.formats.kv)),
      x, y);
  if (roof < y.high) chart.line(0, {{1, roof}, {most_batch, roof}}, Chart::Stroke::faint, "limit of arithmetic");
  for (size_t i = 0; i < places.size(); ++i) {
    const double fit = double(places[i]->largest_batch);
    std::vector<Chart::Point> inside, beyond;
    for (const double batch : log_samples(1, most_batch)) {
      const Work work = rate(i, std::round(batch));
      const Chart::Point p{std::max(1.0, std::round(batch)), work.tokens / work.seconds()};
      (p.first <= fit ? inside : beyond).push_back(p);
    }
    if (!inside.empty() && !beyond.empty()) beyond.insert(beyond.begin(), inside.back());
    const std::string label = subjects[i]->architecture.label;
    const bool all_inside = beyond.empty();
    chart.line(int(i), std::move(inside), Chart::Stroke::solid, all_inside ? label : "");
    chart.line(int(i), std::move(beyond), Chart::Stroke::dashed, all_inside ? "" : label);
  }
  for (size_t i = 0; i < places.size(); ++i) {
    const auto point = [&](uint64_t batch) {
      const Work work = rate(i, double(batch));
      return Chart::Point{double(batch), work.tokens / work.seconds()};
    };
    if (places[i]->largest_batch > 0 && places[i]->largest_batch < (uint64_t{1} << 32))
      chart.mark(int(i), point(places[i]->largest_batch), false,
                 fmt::format("memory full at {}", grouped(places[i]->largest_batch)));
    if (places[i]->compute_bound_batch)
      chart.mark(int(i), point(*places[i]->compute_bound_batch), true,
                 fmt::format("compute-bound from {}", grouped(*places[i]->compute_bound_batch)));
  }
  chart.note("Dashed: more sequences than memory holds.");
  std::string too_large;
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i]->largest_batch == 0) too_large += (too_large.empty() ? "" : ", ") + subjects[i]->architecture.label;
  if (!too_large.empty()) chart.note("In one such machine not even one sequence fits of " + too_large + ".");
  return chart.svg();
}

}  // namespace nemotron
