// The plan as one JSON object, for programs; keys stay as they are once released.

#include "base/json.h"

#include <cmath>
#include <iterator>

#include "plan/figures.h"
#include "plan/study.h"

namespace nemotron {
namespace {

// Rates and times: 0 divided by 0 and infinities have no JSON.
Json number(double n) { return std::isfinite(n) ? Json(n) : Json(); }
Json count(Count n) { return n.value(); }
Json optional_count(uint64_t n) { return n == 0 ? Json() : Json(n); }

Json strings(const std::vector<std::string>& all) {
  Json::Array out;
  for (const std::string& one : all) out.emplace_back(one);
  return out;
}

Json model_json(const Subject& s) {
  const Architecture& a = s.architecture;
  Json layers(Json::Object{}), out;
  for (const auto& [part, n] : a.layers) layers.set(part_key(part), n);
  out.set("name", a.name).set("source", a.source).set("assumptions", strings(a.assumptions)).set("layers", layers);
  out.set("hidden_size", a.hidden).set("vocab_size", a.vocabulary).set("max_position_embeddings", a.most_context);
  return out;
}

Json workload_json(const Study& s, const Workload& w) {
  const CacheFormats& f = w.formats;
  Json out;
  out.set("context", w.context).set("batch", w.batch).set("weights", s.options.subject.weights);
  out.set("kv", format_name(f.kv)).set("state", format_name(f.state)).set("conv", format_name(f.conv));
  const auto& recurrent = s.options.subject.architecture.recurrent;
  const uint64_t K = recurrent.empty() ? 0 : recurrent[0].conv_kernel;
  out.set("conv_columns", f.all_columns || K == 0 ? K : K - 1).set("prefill_chunk", w.prefill_chunk);
  return out;
}

Json parameters_json(const Architecture& a) {
  const Parameters p = parameters(a);
  Json out, kinds(Json::Object{});
  out.set("total", count(p.total)).set("with_mtp", count(p.total + p.mtp)).set("mtp", count(p.mtp));
  out.set("active", count(p.active));
  out.set("active_without_input_embedding", p.active.value() - (p.head == 0 ? 0 : p.input_embedding.value()));
  out.set("active_without_embedding_and_head", p.active.value() - p.input_embedding.value() - p.head.value());
  for (size_t i = 0; i < size_t(Part::mtp); ++i) {
    const Part part{uint8_t(i)};
    const Parameters of = parameters(a, part);
    if (of.total == 0) continue;
    Json kind;
    kind.set("total", count(of.total)).set("active", count(of.active));
    const auto n = a.layers.find(part);
    if (n != a.layers.end() && n->second > 0)
      kind.set("layers", n->second).set("per_layer", of.total.value() / n->second);
    kinds.set(part_key(part), kind);
  }
  return out.set("by_kind", kinds);
}

Json weights_json(const Architecture& a) {
  std::map<std::string, Count> kinds, formats;
  for (const WeightGroup& g : a.weights) {
    kinds[part_key(g.part)] += g.bytes;
    formats[format_name(g.format)] += g.bytes;
  }
  Json by_kind(Json::Object{}), by_format(Json::Object{}), out;
  for (const auto& [key, bytes] : kinds) by_kind.set(key, count(bytes));
  for (const auto& [key, bytes] : formats) by_format.set(key, count(bytes));
  const Count all = weight_bytes(a, true), without = weight_bytes(a, false);
  out.set("bytes", count(all)).set("without_mtp", count(without)).set("mtp", all.value() - without.value());
  return out.set("by_kind", by_kind).set("by_format", by_format);
}

Json caches_json(const Subject& s) {
  const Architecture& a = s.architecture;
  Json kv, state, out;
  for (const auto& [key, f] : {std::pair("f32", NumberFormat::f32), std::pair("bf16", NumberFormat::bf16),
                               std::pair("fp8", NumberFormat::fp8)})
    kv.set(key, count(kv_bytes_a_token(a, f)));
  for (const auto& [key, f] : {std::pair("f32", NumberFormat::f32), std::pair("f16", NumberFormat::f16)}) {
    CacheFormats formats = s.deployed;
    formats.state = f;
    state.set(key, count(state_bytes(a, formats)));
  }
  Json::Array windows;
  for (const AttentionGroup& g : a.attention)
    if (g.window != 0)
      windows.push_back(Json()
                            .set("layers", g.layers)
                            .set("tokens", g.window)
                            .set("bf16_bytes", 2 * (g.numbers_a_token() * g.window).value()));
  out.set("kv_bytes_per_token", kv).set("windows", std::move(windows)).set("state_bytes", state);
  out.set("state_bytes_own", count(state_bytes(a, s.own)));
  return out.set("mtp_kv_bytes_per_token_bf16", 2 * a.mtp_cache.value());
}

Json memory_json(const Memory& m) {
  Json out;
  out.set("weights", count(m.weights)).set("kv", count(m.kv)).set("state", count(m.state));
  return out.set("activations", count(m.activations)).set("program", count(m.program)).set("total", count(m.total()));
}

Json work_json(const Work& w, double seconds, bool timed) {
  Json out;
  out.set("tokens", number(w.tokens)).set("flops", number(w.flops())).set("bytes", number(w.bytes()));
  out.set("flops_per_token", number(w.flops() / w.tokens)).set("bytes_per_token", number(w.bytes() / w.tokens));
  out.set("weight_flops", number(w.matrix_flops)).set("attention_flops", number(w.attention_flops));
  out.set("state_flops", number(w.recurrent_flops)).set("weight_bytes", number(w.weight_bytes));
  out.set("kv_bytes", number(w.cache_bytes)).set("state_bytes", number(w.state_bytes));
  if (!timed) return out;
  out.set("seconds", number(seconds)).set("seconds_per_token", number(seconds / w.tokens));
  out.set("compute_seconds", number(w.seconds_compute)).set("memory_seconds", number(w.seconds_memory));
  return out.set("tokens_per_second", number(w.tokens / seconds));
}

Json machine_json(const Machine& m) {
  Json out;
  out.set("name", m.name).set("title", m.title).set("source", m.source).set("note", m.note);
  out.set("capacity_bytes", number(m.capacity)).set("bandwidth", number(m.bandwidth));
  const auto peak = [](double n) { return n > 0 ? Json(n) : Json(); };
  out.set(m.own ? "f32_flops" : "bf16_flops", number(m.bf16));
  if (!m.own) out.set("fp8_flops", peak(m.fp8)).set("fp4_flops", peak(m.fp4));
  if (m.own) out.set("int8_ops", number(m.fp4)).set("memory_bytes", number(m.memory)).set("threads", m.threads);
  return out;
}

Json on_machine_json(const OnMachine& at) {
  Json out;
  out.set("machine", machine_json(at.machine)).set("memory", memory_json(at.memory)).set("fits", at.fits);
  out.set("largest_batch", at.largest_batch).set("longest_context", at.longest_context);
  out.set("machines_needed", optional_count(at.machines_needed));
  out.set("prefill", work_json(at.prefill.work, at.prefill.seconds, true));
  out.set("decode", work_json(at.decode, at.decode.seconds(), true));
  out.set("compute_bound_batch", at.compute_bound_batch ? Json(*at.compute_bound_batch) : Json());
  Json::Array remedies;
  for (const Remedy& r : at.remedies) {
    Json one;
    one.set("key", r.key).set("what", r.what).set("value", optional_count(r.value));
    remedies.push_back(one.set("memory", memory_json(r.memory)).set("fits", r.fits));
  }
  return out.set("remedies", std::move(remedies));
}

Json crossings_json(const std::vector<Crossing>& all) {
  Json::Array out;
  for (const Crossing& c : all)
    out.push_back(Json()
                      .set("tokens", uint64_t(c.context))
                      .set("exact", number(c.context))
                      .set("smaller_after", c.a_smaller_after));
  return out;
}

Json served_json(const ServedComparison& c) {
  Json::Array tables;
  for (const std::vector<Served>& served : c.tables) {
    Json::Array rows;
    for (const Served& r : served) {
      Json row;
      row.set("model", r.model).set("formats", r.formats).set("batch", r.batch);
      row.set("decode_tokens_per_second", number(r.decode_rate)).set("tokens_per_second", number(r.rate));
      Json::Array ratios;
      for (size_t i = 0; i < c.subjects; ++i)
        ratios.push_back(r.batch && served[i].batch ? number(served[i].rate / r.rate) : Json());
      row.set("ratios", std::move(ratios));
      rows.push_back(row.set("claimed_ratio", r.claimed ? Json(*r.claimed) : Json()));
    }
    tables.push_back(Json().set("machines", served[0].machines).set("models", std::move(rows)));
  }
  Json out;
  out.set("input_tokens", c.in).set("output_tokens", c.out).set("machine", c.machine.name);
  return out.set("tables", std::move(tables));
}

}  // namespace

std::string json_of(const Study& s) {
  const Subject& subject = s.options.subject;
  const OnMachine& at = s.chosen ? *s.chosen : s.machines.front();
  Json out;
  out.set("model", model_json(subject)).set("workload", workload_json(s, at.workload));
  out.set("parameters", parameters_json(subject.architecture)).set("weights", weights_json(subject.architecture));
  out.set("cache", caches_json(subject)).set("memory", memory_json(at.memory));
  Json work;
  work.set("prefill", work_json(at.prefill.work, 0, false)).set("decode", work_json(at.decode, 0, false));
  out.set("work", work).set("machine", s.chosen ? on_machine_json(*s.chosen) : Json());
  Json::Array machines, crossings, against;
  for (const OnMachine& m : s.machines) machines.push_back(on_machine_json(m));
  for (const CacheComparison& c : s.caches) {
    Json one;
    one.set("other", c.other).set("kv_16_bits", crossings_json(c.keys_and_values));
    crossings.push_back(one.set("other_state_counted", crossings_json(c.all_counted)));
  }
  for (size_t i = 1; i < s.side_by_side.size(); ++i) {
    const Subject& other = s.options.against[i - 1];
    Json one;
    one.set("model", model_json(other)).set("weights_format", other.weights);
    one.set("kv", format_name(other.deployed.kv)).set("parameters", parameters_json(other.architecture));
    one.set("weights", weights_json(other.architecture)).set("cache", caches_json(other));
    against.push_back(one.set("on_machine", on_machine_json(s.side_by_side[i])));
  }
  out.set("machines", std::move(machines)).set("cache_crossings", std::move(crossings));
  out.set("against", std::move(against)).set("served", s.served ? served_json(*s.served) : Json());
  return out.dump() + "\n";
}

}  // namespace nemotron
