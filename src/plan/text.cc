// The plan as text: what the model is, what it keeps, what it costs, and where it fits.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "plan/figures.h"
#include "plan/study.h"

namespace nemotron {
namespace {

constexpr Part kKinds[] = {Part::mamba, Part::linear_attention, Part::attention, Part::moe,
                           Part::mlp,   Part::embedding,        Part::head,      Part::final_norm};

std::string row(const std::string& name, const std::string& value, const std::string& note = "") {
  return fmt::format("  {:<42}{:>20}{}{}\n", name, value, note.empty() ? "" : "   ", note);
}

// A table whose first column is words and whose other columns are figures.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& cells : rows)
    for (size_t i = 0; i < cells.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], cells[i].size());
    }
  std::string out;
  for (const auto& cells : rows) {
    out += "  ";
    for (size_t i = 0; i < cells.size(); ++i)
      out += i == 0 ? fmt::format("{:<{}}", cells[i], widths[i]) : fmt::format("  {:>{}}", cells[i], widths[i]);
    out += "\n";
  }
  return out;
}

std::string state_text(const CacheFormats& f, const Architecture& a) {
  if (a.recurrent.empty()) return "no state";
  const uint64_t K = a.recurrent[0].conv_kernel;
  const char* state = f.state == NumberFormat::f32 ? "float32" : "float16";
  return fmt::format("{} state, {}-bit convolution of {} columns", state, int(format_bits(f.conv)),
                     f.all_columns ? K : K - 1);
}

const char* state_kind(const Architecture& a) {
  return a.recurrent.empty() || a.recurrent[0].part == Part::mamba ? "Mamba" : "linear attention";
}

// ---- sections ----

std::string heading(const Study& s) {
  const Architecture& a = s.options.subject.architecture;
  uint64_t layers = 0;
  for (const auto& [part, n] : a.layers) layers += n;
  std::string out = fmt::format("{}: {} layers, hidden {}, vocabulary {}, context up to {}\n", printable(a.name),
                                layers, grouped(a.hidden), grouped(a.vocabulary), grouped(a.most_context));
  out += fmt::format("  source: {}\n", printable(a.source, 600));
  for (const std::string& text : a.assumptions) out += fmt::format("  assumption: {}\n", printable(text, 600));
  return out;
}

std::string parameter_section(const Study& s) {
  const Architecture& a = s.options.subject.architecture;
  const Parameters p = parameters(a);
  std::string out = fmt::format("\nparameters: {} parameters", in_billions(p.total.value()));
  if (p.mtp != 0) out += fmt::format(" ({} with MTP)", in_billions((p.total + p.mtp).value()));
  out += fmt::format(", {} active\n", in_billions(p.active.value()));
  std::vector<std::vector<std::string>> rows = {{"", "all", "active a token", "a layer"}};
  for (const Part part : kKinds) {
    const Parameters of = parameters(a, part);
    if (of.total == 0) continue;
    const auto n = a.layers.find(part);
    const bool layered = n != a.layers.end() && n->second > 0;
    rows.push_back({layered ? fmt::format("{} x {}", n->second, part_name(part)) : part_name(part),
                    grouped(of.total.value()), grouped(of.active.value()),
                    layered ? grouped(of.total.value() / n->second) : ""});
  }
  rows.push_back({"model", grouped(p.total.value()), grouped(p.active.value())});
  if (p.mtp != 0) {
    rows.push_back({"MTP block", grouped(p.mtp.value())});
    rows.push_back({"with MTP", grouped((p.total + p.mtp).value())});
  }
  const uint64_t less = p.head == 0 ? 0 : p.input_embedding.value();  // tied embeddings are the head
  rows.push_back({"active without the input embedding", "", grouped(p.active.value() - less)});
  rows.push_back({"active without embedding and head", "",
                  grouped(p.active.value() - p.input_embedding.value() - p.head.value())});
  return out + table(rows);
}

std::string weight_section(const Study& s) {
  const Architecture& a = s.options.subject.architecture;
  std::string out =
      fmt::format("\nweights, {}: {}\n", s.options.subject.weights, in_bytes(weight_bytes(a, true).real()));
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i <= size_t(Part::mtp); ++i) {
    const Part part{uint8_t(i)};
    Count bytes;
    std::string formats;
    for (const WeightGroup& g : a.weights) {
      if (g.part != part || g.bytes == 0) continue;
      bytes += g.bytes;
      if (formats.find(format_name(g.format)) == std::string::npos)
        formats += (formats.empty() ? "" : " ") + std::string(format_name(g.format));
    }
    if (bytes != 0) rows.push_back({part_name(part), grouped(bytes.value()), in_bytes(bytes.real()), formats});
  }
  rows.push_back({"all", grouped(weight_bytes(a, true).value()), in_bytes(weight_bytes(a, true).real())});
  if (parameters(a).mtp != 0)
    rows.push_back({"without MTP", grouped(weight_bytes(a, false).value()), in_bytes(weight_bytes(a, false).real())});
  return out + table(rows);
}

std::string cache_section(const Study& s) {
  const Architecture& a = s.options.subject.architecture;
  std::string out = "\na sequence keeps\n";
  const auto kv = [&](NumberFormat f) { return kv_bytes_a_token(a, f).value(); };
  out += fmt::format("  {} B of KV a token in FP8, {} B in BF16, {} B in F32\n", kv(NumberFormat::fp8),
                     kv(NumberFormat::bf16), kv(NumberFormat::f32));
  for (const AttentionGroup& g : a.attention)
    if (g.window != 0)
      out += fmt::format("  and in {} layers the last {} tokens: {} in BF16\n", g.layers, g.window,
                         in_bytes(2 * g.numbers_a_token().real() * double(g.window)));
  if (a.mtp_cache != 0)
    out +=
        fmt::format("  the MTP block would add {} B a token in BF16; it is not used here\n", 2 * a.mtp_cache.value());
  std::vector<CacheFormats> formats = {s.options.subject.deployed, s.options.subject.deployed};
  formats[0].state = NumberFormat::f32;
  formats[1].state = NumberFormat::f16;
  if (s.chosen && s.chosen->machine.own) formats.push_back(s.workload.formats);
  if (a.recurrent.empty()) return out;
  for (const CacheFormats& f : formats)
    out += fmt::format("  {} of {} state a sequence ({})\n", in_bytes(state_bytes(a, f).real()), state_kind(a),
                       state_text(f, a));
  return out;
}

std::string crossing_text(const std::vector<Crossing>& all) {
  if (all.empty()) return "at no context";
  std::string out;
  for (const Crossing& c : all)
    out += fmt::format("{}{} {} tokens (equal at {:.2f})", out.empty() ? "" : ", and ",
                       c.a_smaller_after ? "from" : "up to", grouped(uint64_t(c.context)), c.context);
  return out;
}

std::string crossing_section(const Study& s) {
  if (s.caches.empty()) return "";
  std::string out =
      "\nthe context at which its cache becomes the smaller one (KV in 16 bits, sliding windows counted, its own state "
      "in "
      "float32 and\nconvolution in 16 bits counted)\n";
  for (const CacheComparison& c : s.caches) {
    out += fmt::format("  than that of {}: {}\n", c.other, crossing_text(c.keys_and_values));
    if (c.keys_and_values.size() != c.all_counted.size() ||
        !std::equal(c.keys_and_values.begin(), c.keys_and_values.end(), c.all_counted.begin(),
                    [](const Crossing& x, const Crossing& y) { return x.context == y.context; }))
      out += fmt::format("    with the other's own state and convolution counted, too: {}\n",
                         crossing_text(c.all_counted));
  }
  return out;
}

std::string memory_section(const OnMachine& at, const Subject& subject) {
  const Memory& m = at.memory;
  std::string out = fmt::format("\nmemory for {} sequence{} of {} tokens\n", grouped(at.workload.batch),
                                at.workload.batch == 1 ? "" : "s", grouped(at.workload.context));
  const auto line = [&](const char* name, Count n, const std::string& note = "") {
    if (n != 0)
      out += row(name, grouped(n.value()), fmt::format("{}{}", in_bytes(n.real()), note.empty() ? "" : "   " + note));
  };
  line("weights", m.weights, subject.weights);
  line(fmt::format("keys and values, {}", format_name(at.workload.formats.kv)).c_str(), m.kv);
  line("states", m.state, state_text(at.workload.formats, subject.architecture));
  line("activations", m.activations,
       fmt::format("a prefill chunk of {} tokens, logits", grouped(at.workload.prefill_chunk)));
  line("the program, tokenizer, tables", m.program);
  line("all", m.total());
  return out;
}

std::string work_rows(const Work& w, double tokens) {
  return row("operations a token", in_units(w.flops() / tokens, "FLOP"),
             fmt::format("weights {}, attention {}, state {}", in_units(w.matrix_flops / tokens, "FLOP"),
                         in_units(w.attention_flops / tokens, "FLOP"), in_units(w.recurrent_flops / tokens, "FLOP"))) +
         row("bytes a token", in_units(w.bytes() / tokens, "B"),
             fmt::format("weights {}, KV {}, state {}", in_units(w.weight_bytes / tokens, "B"),
                         in_units(w.cache_bytes / tokens, "B"), in_units(w.state_bytes / tokens, "B")));
}

std::string work_section(const OnMachine& at, bool timed) {
  std::string out = fmt::format("\nprefill of {} x {} tokens, in chunks of {}\n", grouped(at.workload.batch),
                                grouped(at.workload.context), grouped(at.workload.prefill_chunk));
  out += work_rows(at.prefill.work, at.prefill.work.tokens);
  if (timed) {
    out +=
        row("time a token at the limit", in_seconds(at.prefill.seconds / at.prefill.work.tokens),
            fmt::format("compute {}, memory {}", in_seconds(at.prefill.work.seconds_compute / at.prefill.work.tokens),
                        in_seconds(at.prefill.work.seconds_memory / at.prefill.work.tokens)));
    out += row("tokens a second", plain_number(at.prefill_tokens_per_second()),
               fmt::format("the first token after {}", in_seconds(at.prefill.seconds)));
  }
  out += fmt::format("\ndecode of {} sequence{}, each with {} tokens behind it\n", grouped(at.workload.batch),
                     at.workload.batch == 1 ? "" : "s", grouped(at.workload.context));
  out += work_rows(at.decode, at.decode.tokens);
  if (!timed) return out;
  out += row("time a step at the limit", in_seconds(at.decode.seconds()),
             fmt::format("compute {}, memory {}", in_seconds(at.decode.seconds_compute),
                         in_seconds(at.decode.seconds_memory)));
  out += row("tokens a second", plain_number(at.decode_tokens_per_second()),
             at.workload.batch == 1 ? "" : fmt::format("{} a sequence", plain_number(1 / at.decode.seconds())));
  out +=
      row("compute-bound",
          at.compute_bound_batch ? fmt::format("from batch {}", grouped(*at.compute_bound_batch)) : "never",
          at.compute_bound_batch ? "" : "each sequence's own cache and state take longer to read than its arithmetic");
  return out;
}

std::string any_or(uint64_t n, uint64_t most) { return n >= most ? "any" : grouped(n); }

std::string fit_section(const OnMachine& at) {
  const Machine& m = at.machine;
  std::string out;
  if (m.own) {
    out = fmt::format("\n{}: {} of {} available, {} read, {} in float32, {} in int8, with {} thread{}\n", m.title,
                      in_bytes(m.capacity), in_bytes(m.memory), in_units(m.bandwidth, "B/s"),
                      in_units(m.bf16, "FLOP/s"), in_units(m.fp4, "OP/s"), m.threads, m.threads == 1 ? "" : "s");
  } else {
    out = fmt::format("\n{}: {}, {}, {} BF16", m.title, in_units(m.capacity, "B"), in_units(m.bandwidth, "B/s"),
                      in_units(m.bf16, "FLOP/s"));
    out += m.fp8 > 0 ? ", " + in_units(m.fp8, "FLOP/s") + " FP8" : ", no FP8";
    out += m.fp4 > 0 ? ", " + in_units(m.fp4, "FLOP/s") + " FP4" : ", no FP4";
    out += " (dense)\n";
  }
  out += fmt::format("  source: {}{}{}\n", m.source, m.note.empty() ? "" : "; ", m.note);
  out += row(at.fits ? "fits" : "does not fit", in_bytes(at.memory.total().real()),
             at.fits ? fmt::format("{} are left", in_bytes(m.capacity - at.memory.total().real()))
                     : fmt::format("{} too much", in_bytes(at.memory.total().real() - m.capacity)));
  if (at.fits) {
    out += row("largest batch at this context", any_or(at.largest_batch, uint64_t{1} << 32));
    out += row("longest context at this batch", any_or(at.longest_context, uint64_t{1} << 40));
    return out;
  }
  out += "  what would make it fit\n";
  std::vector<std::vector<std::string>> rows;
  bool any = false;
  for (const Remedy& r : at.remedies) {
    rows.push_back({"  " + r.what, in_bytes(r.memory.total().real()), r.fits ? "fits" : "not enough by itself"});
    any = any || r.fits;
  }
  out += table(rows);
  if (!any) out += "    nothing that this plan knows of\n";
  return out;
}

std::string machine_section(const Study& s) {
  std::vector<std::vector<std::string>> rows = {
      {"machine", "memory", "machines", "prefill tok/s", "decode tok/s", "largest batch", "at it tok/s"}};
  const Subject& subject = s.options.subject;
  for (const OnMachine& at : s.machines) {
    if (at.machines_needed == 0) {
      rows.push_back({at.machine.name, in_units(at.machine.capacity, "B"), "too many"});
      continue;
    }
    const Machine all = times(at.machine, at.machines_needed);
    Workload w = at.workload;
    const double prompt = prefill(subject.architecture, w, all).seconds;
    const double one = decode_step(subject.architecture, w, all).seconds();
    const uint64_t most = largest_batch(subject.architecture, w, all.capacity);
    w.batch = std::max<uint64_t>(most, 1);
    const double at_most = decode_step(subject.architecture, w, all).seconds();
    rows.push_back({at.machine.name, in_units(at.machine.capacity, "B"), grouped(at.machines_needed),
                    plain_number(double(at.workload.batch) * double(at.workload.context) / prompt),
                    plain_number(double(at.workload.batch) / one), any_or(most, uint64_t{1} << 32),
                    plain_number(double(w.batch) / at_most)});
  }
  const CacheFormats& f = subject.deployed;
  std::string out = fmt::format(
      "\non published machines, as many as it takes, at their limits: weights {}, KV {}{}, {} x {} tokens\n",
      subject.weights, format_name(f.kv),
      subject.architecture.recurrent.empty() ? "" : ", " + state_text(f, subject.architecture),
      grouped(s.options.batch), grouped(s.options.context));
  return out + table(rows);
}

std::string side_by_side_section(const Study& s) {
  if (s.side_by_side.empty()) return "";
  std::vector<const Subject*> subjects = {&s.options.subject};
  for (const Subject& other : s.options.against) subjects.push_back(&other);
  std::vector<std::vector<std::string>> rows;
  const auto line = [&](const std::string& name, const auto& value) {
    std::vector<std::string>& cells = rows.emplace_back();
    cells.push_back(name);
    for (size_t i = 0; i < subjects.size(); ++i)
      cells.push_back(value(subjects[i]->architecture, *subjects[i], s.side_by_side[i]));
  };
  using A = const Architecture&;
  using S = const Subject&;
  using M = const OnMachine&;
  line("", [](A a, S, M) { return a.label; });
  line("parameters", [](A a, S, M) { return in_billions(parameters(a).total.value()); });
  line("active", [](A a, S, M) { return in_billions(parameters(a).active.value()); });
  line("active without the input embedding", [](A a, S, M) {
    const Parameters p = parameters(a);
    return in_billions(p.active.value() - (p.head == 0 ? 0 : p.input_embedding.value()));
  });
  line("weights", [](A, S of, M) { return of.weights; });
  line("weight bytes, MTP included", [](A a, S, M) { return in_bytes(weight_bytes(a, true).real()); });
  line("KV a token in 16 bits",
       [](A a, S, M) { return fmt::format("{} B", kv_bytes_a_token(a, NumberFormat::bf16).value()); });
  line("KV format served", [](A, S of, M) { return format_name(of.deployed.kv); });
  line("KV a token as served",
       [](A a, S of, M) { return fmt::format("{} B", kv_bytes_a_token(a, of.deployed.kv).value()); });
  line("sliding windows, as served", [](A a, S of, M) {
    double bytes = 0;
    for (const AttentionGroup& g : a.attention)
      bytes += g.numbers_a_token().real() * double(g.window) * format_bits(of.deployed.kv) / 8;
    return bytes > 0 ? in_bytes(bytes) : std::string("none");
  });
  line("state a sequence",
       [](A a, S of, M) { return a.recurrent.empty() ? "none" : in_bytes(state_bytes(a, of.deployed).real()); });
  line(fmt::format("cache and state at {} tokens", grouped(s.options.context)),
       [](A, S, M at) { return in_bytes((at.memory.kv + at.memory.state).real() / double(at.workload.batch)); });
  line("memory in all", [](A, S, M at) { return in_bytes(at.memory.total().real()); });
  line("prefill FLOP a token",
       [](A, S, M at) { return in_units(at.prefill.work.flops() / at.prefill.work.tokens, ""); });
  line("decode FLOP a token", [](A, S, M at) { return in_units(at.decode.flops() / at.decode.tokens, ""); });
  line("decode bytes a token", [](A, S, M at) { return in_units(at.decode.bytes() / at.decode.tokens, "B"); });
  line("fits", [](A, S, M at) {
    return at.fits ? std::string("yes") : at.machines_needed ? fmt::format("{} machines", at.machines_needed) : "no";
  });
  line("prefill tokens a second", [](A, S, M at) { return plain_number(at.prefill_tokens_per_second()); });
  line("decode tokens a second", [](A, S, M at) { return plain_number(at.decode_tokens_per_second()); });
  line("largest batch", [](A, S, M at) { return any_or(at.largest_batch, uint64_t{1} << 32); });
  line("compute-bound from batch",
       [](A, S, M at) { return at.compute_bound_batch ? grouped(*at.compute_bound_batch) : std::string("never"); });
  return fmt::format("\nside by side, on {} at its limits, {} x {} tokens\n", s.side_by_side[0].machine.title,
                     grouped(s.options.batch), grouped(s.options.context)) +
         table(rows);
}

std::string served_section(const Study& s) {
  if (!s.served) return "";
  const ServedComparison& c = *s.served;
  std::string out = fmt::format("\noutput throughput, prompts of {} and answers of {} tokens, on {}\n", grouped(c.in),
                                grouped(c.out), c.machine.title);
  for (const std::vector<Served>& served : c.tables) {
    std::vector<std::vector<std::string>> rows = {
        {fmt::format("on {}", served[0].machines == 1 ? "one" : grouped(served[0].machines)), "batch", "decode tok/s",
         "with prefill"}};
    for (size_t i = 0; i < c.subjects; ++i)  // each of the subject's rows against all others
      rows[0].push_back(i == 0 ? "the first is" : "the second is");
    rows[0].push_back("claimed");
    for (const Served& r : served) {
      std::vector<std::string>& cells = rows.emplace_back();
      cells.push_back(fmt::format("{} ({})", r.model, r.formats));
      if (r.batch == 0) {
        cells.push_back("does not fit");
        continue;
      }
      cells.insert(cells.end(),
                   {any_or(r.batch, uint64_t{1} << 32), plain_number(r.decode_rate), plain_number(r.rate)});
      for (size_t i = 0; i < c.subjects; ++i)
        cells.push_back(served[i].batch == 0 ? "" : fmt::format("{:.2f} x", served[i].rate / r.rate));
      cells.push_back(r.claimed ? fmt::format("{:.1f} x", *r.claimed) : "");
    }
    out += table(rows);
  }
  out +=
      "  assumptions: rates are a machine's own share; several machines act as one without losing anything between "
      "them;\n"
      "  as many sequences as memory holds, evenly spread over their lengths (average context: prompt and half the "
      "answer);\n"
      "  MTP neither loaded nor used; uniform routing; caches, states and weights read once a step; nothing overlaps "
      "badly;\n"
      "  prefill chunks of 8,192 tokens; MXFP4 weights meet 8-bit activations, NVFP4 weights 4-bit ones.\n"
      "  the claim (arXiv 2604.12374, figure 1): \"up to\", 8k in and 64k out, B200 GPUs whose number is not given, "
      "the\n"
      "  better of vLLM and TRT-LLM for each model; GPT-OSS with MXFP4 weights, MXFP8 activations and FP8 KV, Qwen in "
      "BF16;\n"
      "  what Super's own formats, batch sizes and use of MTP were is not said.\n";
  return out;
}

std::string assumption_section(const Study& s) {
  std::string out =
      "\nassumptions: uniform routing, so that a batch of B touches E (1 - (1 - k/E)^B) of E experts; a step takes the "
      "larger "
      "of compute and\nmemory time; weights are read once a pass, keys and values once a chunk, states read and "
      "written once a "
      "pass; products run at the dense\npeak of the weights' format (where a machine has no unit for it, in 16 bits), "
      "attention and states at that of 16 bits; the head is computed\nonce a prompt; published GB are 10^9 bytes, "
      "which leaves "
      "some 7 % of most machines' memory to drivers and fragmentation.\n";
  if (s.chosen && s.chosen->machine.own)
    out += "On this machine NVFP4 weights are multiplied in int8, and all else in float32.\n";
  return out;
}

}  // namespace

std::string text_of(const Study& s) {
  std::string out = heading(s) + parameter_section(s) + weight_section(s) + cache_section(s) + crossing_section(s);
  if (s.chosen) {
    out += memory_section(*s.chosen, s.options.subject) + work_section(*s.chosen, true) + fit_section(*s.chosen);
    if (s.chosen->machine.own && !s.options.resident)
      out += "  this program does not run this model: the figures are those of one that keeps activations in 16 bits\n";
  } else {
    const OnMachine& any = s.machines.front();  // memory and work are those of any machine
    out += memory_section(any, s.options.subject) + work_section(any, false);
  }
  return out + machine_section(s) + side_by_side_section(s) + served_section(s) + assumption_section(s);
}

}  // namespace nemotron
