// The reference backend: every op as a plain loop in double, the executable specification that fast kernels are tested
// against.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/philox.h"
#include "ops/ops.h"

namespace nemotron {
namespace {

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }
double silu(double v) { return v * sigmoid(v); }
double softplus(double v) { return v > 20 ? v : std::log1p(std::exp(v)); }

// One thread a row is parallelism enough for a specification.
template <class Body>
void for_rows(Threads& threads, index n, Body body) {
  threads.parallel(n, 1, [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t) body(t);
  });
}

void embed(Threads& threads, const Matrix& table, std::span<const int32_t> ids, Rows y) {
  for_rows(threads, y.rows, [&](index t) {
    double* row = y.row<double>(t);
    decode_row(table, ids[size_t(t)], 0, table.cols, row);
    for (index c = 0; c < table.cols; ++c) row[c] *= table.scale;
  });
}

void norm_row(double* x, const Vector& weight, index cols, index groups, double eps) {
  const index width = cols / groups;
  for (index g = 0; g < groups; ++g) {
    double* u = x + g * width;
    double sum = 0;
    for (index c = 0; c < width; ++c) sum += u[c] * u[c];
    const double scale = 1 / std::sqrt(sum / double(width) + eps);
    for (index c = 0; c < width; ++c) u[c] *= scale * weight[size_t(g * width + c)];
  }
}

void rms_norm(Threads& threads, Rows x, const Vector& weight, index groups, double eps, Rows y) {
  for_rows(threads, x.rows, [&](index t) {
    std::copy_n(x.row<double>(t), x.cols, y.row<double>(t));
    norm_row(y.row<double>(t), weight, x.cols, groups, eps);
  });
}

void gated_rms_norm(Threads& threads, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y) {
  for_rows(threads, x.rows, [&](index t) {
    for (index c = 0; c < x.cols; ++c) y.row<double>(t)[c] = x.row<double>(t)[c] * silu(gate.row<double>(t)[c]);
    norm_row(y.row<double>(t), weight, x.cols, groups, eps);
  });
}

// A row as an NVFP4 product with int8 activations sees it.
std::vector<double> through_int8(const double* x, index cols) {
  std::vector<double> row(static_cast<size_t>(cols));
  for (index c = 0; c < cols; c += Int8Block::kBlock) {
    float block[Int8Block::kBlock];
    int8_t codes[Int8Block::kBlock];
    std::copy_n(x + c, Int8Block::kBlock, block);
    const double scale = Int8Block::encode_block(block, codes);
    for (int i = 0; i < Int8Block::kBlock; ++i) row[size_t(c + i)] = codes[i] * scale;
  }
  return row;
}

void linear(Threads& threads, Arena&, std::span<const Group> groups, Rows x, Rows y, Activations activations) {
  for (const Group& g : groups) {
    std::vector<std::vector<double>> rounded;
    if (takes_int8(*g.w, activations))
      for (index t = g.begin; t < g.end; ++t) rounded.push_back(through_int8(x.row<double>(t), x.cols));
    threads.parallel(g.w->rows, 16, [&](index begin, index end, int) {
      std::vector<double> w(size_t(g.w->cols));
      for (index n = begin; n < end; ++n) {
        decode_row(*g.w, n, 0, g.w->cols, w.data());
        for (index t = g.begin; t < g.end; ++t) {
          const double* u = rounded.empty() ? x.row<double>(t) : rounded[size_t(t - g.begin)].data();
          y.row<double>(t)[n] = std::inner_product(w.begin(), w.end(), u, 0.0) * g.w->scale;
        }
      }
    });
  }
}

void add(Threads& threads, Rows x, Rows y) {
  for_rows(threads, x.rows, [&](index t) {
    for (index c = 0; c < x.cols; ++c) y.row<double>(t)[c] += x.row<double>(t)[c];
  });
}

void relu2(Threads& threads, Rows x) {
  for_rows(threads, x.rows, [&](index t) {
    for (index c = 0; c < x.cols; ++c) {
      double& v = x.row<double>(t)[c];
      v = v > 0 ? v * v : v * 0;  // times 0 keeps a NaN a NaN
    }
  });
}

void causal_conv(Threads& threads, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                 std::span<const Rows> tails, Rows y) {
  const index channels = x.cols, K = index(taps.size()) / channels;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& seg = segments[s];
    const auto before = [&](index i, index c) {  // row i of the tail followed by the segment
      return i < K - 1 ? tails[s].row<double>(i)[c] : x.row<double>(seg.begin + i - (K - 1))[c];
    };
    for_rows(threads, channels, [&](index c) {
      for (index t = 0; t < seg.size(); ++t) {
        double sum = bias.empty() ? 0.0 : bias[size_t(c)];
        for (index j = 0; j < K; ++j) sum += taps[size_t(c * K + j)] * before(t + j, c);
        y.row<double>(seg.begin + t)[c] = silu(sum);
      }
      for (index i = 0; i < K - 1; ++i) tails[s].row<double>(i)[c] = before(seg.size() + i, c);
    });
  }
}

// The stored form of a state element, and back.
double load_state(const SsmState& state, index i) {
  if (state.format == SsmFormat::real) return reinterpret_cast<const double*>(state.data)[i];
  return F16::decode(reinterpret_cast<const F16::Code*>(state.data)[i]);
}

void store_state(const SsmState& state, index i, double value) {
  if (state.format == SsmFormat::real)
    reinterpret_cast<double*>(state.data)[i] = value;
  else
    reinterpret_cast<F16::Code*>(state.data)[i] = F16::encode(float(value));
}

void ssm_scan(Threads& threads, Arena&, const ScanShape& shape, Rows xbc, Rows dt, const Vector& A_log, const Vector& D,
              const Vector& dt_bias, double dt_min, std::span<const Segment> segments, std::span<const SsmState> states,
              Rows y) {
  const auto [heads, P, groups, N] = shape;
  const index padded = round_up(N, kLanes), inner = heads * P;
  for (size_t s = 0; s < segments.size(); ++s) {
    const SsmState& state = states[s];
    for_rows(threads, heads, [&, P = P, N = N, heads = heads, groups = groups](index h) {
      const index g = h / (heads / groups);
      const double A = -std::exp(double(A_log[size_t(h)]));
      for (index t = segments[s].begin; t < segments[s].end; ++t) {
        const double* row = xbc.row<double>(t);
        const double *x = row + h * P, *B = row + inner + g * N, *C = row + inner + groups * N + g * N;
        const double step = std::max(softplus(dt.row<double>(t)[h] + dt_bias[size_t(h)]), dt_min);
        const double decay = std::exp(step * A);
        const auto position = uint64_t(state.position + t - segments[s].begin);
        for (index p = 0; p < P; ++p) {
          double sum = 0;
          for (index n = 0; n < N; ++n) {
            const index i = (h * P + p) * padded + n;
            const double v = decay * load_state(state, i) + step * x[p] * B[n];
            sum += v * C[n];
            if (state.format == SsmFormat::real) {
              store_state(state, i, v);
            } else {
              const auto element = uint32_t((h * P + p) * N + n);
              const uint32_t noise = state_noise(state.seed, state.layer, position, element / 4)[element % 4];
              store_state(state, i, F16::decode(f16_stochastic(float(v), noise)));
            }
          }
          y.row<double>(t)[h * P + p] = sum + D[size_t(h)] * x[p];
        }
      }
    });
  }
}

double load_kv(const std::byte* page, index i, KvFormat format, float scale) {
  switch (format) {
    case KvFormat::real:
      return reinterpret_cast<const double*>(page)[i];
    case KvFormat::bf16:
      return Bf16::decode(reinterpret_cast<const Bf16::Code*>(page)[i]);
    case KvFormat::fp8:
      break;
  }
  return double(E4m3::decode(uint8_t(page[i]))) * scale;
}

void store_kv(std::byte* page, index i, KvFormat format, float scale, double value) {
  switch (format) {
    case KvFormat::real:
      reinterpret_cast<double*>(page)[i] = value;
      return;
    case KvFormat::bf16:
      reinterpret_cast<Bf16::Code*>(page)[i] = Bf16::encode(float(value));
      return;
    case KvFormat::fp8:
      break;
  }
  page[i] = std::byte(E4m3::encode(float(value) / scale));
}

// Index in its page of element d of head g at a position; values follow the keys.
index kv_index(const AttentionShape& shape, index g, index position, index d, bool value) {
  if (value) return ((shape.kv_heads + g) * kPage + position % kPage) * shape.head_dim + d;
  return (g * shape.head_dim + d) * kPage + position % kPage;
}

void kv_store(Threads& threads, const AttentionShape& shape, Rows k, Rows v, std::span<const Segment> segments,
              std::span<const KvCache> caches) {
  for (size_t s = 0; s < segments.size(); ++s) {
    const KvCache& cache = caches[s];
    for_rows(threads, segments[s].size(), [&](index i) {
      const index position = cache.position + i, t = segments[s].begin + i;
      std::byte* page = cache.pages[position / kPage];
      for (index g = 0; g < shape.kv_heads; ++g) {
        for (index d = 0; d < shape.head_dim; ++d) {
          const index c = g * shape.head_dim + d;
          store_kv(page, kv_index(shape, g, position, d, false), cache.format, cache.k_scale, k.row<double>(t)[c]);
          store_kv(page, kv_index(shape, g, position, d, true), cache.format, cache.v_scale, v.row<double>(t)[c]);
        }
      }
    });
  }
}

void attention(Threads& threads, Arena&, const AttentionShape& shape, Rows q, std::span<const Segment> segments,
               std::span<const KvCache> caches, Rows y) {
  const index hd = shape.head_dim;
  for (size_t s = 0; s < segments.size(); ++s) {
    const KvCache& cache = caches[s];
    for_rows(threads, segments[s].size(), [&](index i) {
      const index last = cache.position + i, t = segments[s].begin + i;
      std::vector<double> p(size_t(last + 1));
      for (index head = 0; head < shape.heads; ++head) {
        const index g = head / (shape.heads / shape.kv_heads);
        const double* query = q.row<double>(t) + head * hd;
        double* out = y.row<double>(t) + head * hd;
        double most = -std::numeric_limits<double>::infinity();
        for (index j = 0; j <= last; ++j) {
          double dot = 0;
          for (index d = 0; d < hd; ++d)
            dot += query[d] *
                   load_kv(cache.pages[j / kPage], kv_index(shape, g, j, d, false), cache.format, cache.k_scale);
          p[size_t(j)] = dot / std::sqrt(double(hd));
          most = std::max(most, p[size_t(j)]);
        }
        double sum = 0;
        std::fill_n(out, hd, 0.0);
        for (index j = 0; j <= last; ++j) {
          const double e = std::exp(p[size_t(j)] - most);
          sum += e;
          for (index d = 0; d < hd; ++d)
            out[d] += e * load_kv(cache.pages[j / kPage], kv_index(shape, g, j, d, true), cache.format, cache.v_scale);
        }
        for (index d = 0; d < hd; ++d) out[d] /= sum;
      }
    });
  }
}

// Masks the experts outside the best groups; a group's score is the sum of its two best choices.
void keep_best_groups(const RouteShape& shape, std::vector<double>& choice) {
  const index width = shape.experts / shape.groups;
  std::vector<double> score(size_t(shape.groups));
  for (index g = 0; g < shape.groups; ++g) {
    std::vector<double> c(choice.begin() + g * width, choice.begin() + (g + 1) * width);
    std::sort(c.rbegin(), c.rend());
    score[size_t(g)] = c[0] + (width > 1 ? c[1] : 0);
  }
  std::vector<index> order(size_t(shape.groups));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](index a, index b) { return score[size_t(a)] > score[size_t(b)]; });
  for (size_t i = size_t(shape.kept_groups); i < order.size(); ++i)
    std::fill_n(choice.begin() + order[i] * width, width, -std::numeric_limits<double>::infinity());
}

void route(Threads& threads, const RouteShape& shape, Rows logits, const Vector& bias, Routes routes) {
  for_rows(threads, logits.rows, [&](index t) {
    std::vector<double> score(size_t(shape.experts)), choice(score.size());
    for (size_t e = 0; e < score.size(); ++e) {
      score[e] = sigmoid(logits.row<double>(t)[e]);
      choice[e] = score[e] + bias[e];
    }
    if (shape.groups > 1) keep_best_groups(shape, choice);
    std::vector<int32_t> order(score.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return choice[size_t(a)] > choice[size_t(b)]; });
    std::sort(order.begin(), order.begin() + shape.picks);
    double sum = 0;
    for (index j = 0; j < shape.picks; ++j) sum += score[size_t(order[size_t(j)])];
    for (index j = 0; j < shape.picks; ++j) {
      const int32_t e = order[size_t(j)];
      routes.expert[size_t(t * shape.picks + j)] = e;
      routes.weight.row<double>(t)[j] = score[size_t(e)] / (shape.renormalize ? sum + 1e-20 : 1) * shape.scale;
    }
  });
}

void combine(Threads& threads, index, const Routes& routes, std::span<const index> rows, Rows x, Rows y) {
  const index picks = routes.weight.cols;
  for_rows(threads, y.rows, [&](index t) {
    double* out = y.row<double>(t);
    std::fill_n(out, y.cols, 0.0);
    for (index j = 0; j < picks; ++j)
      for (index c = 0; c < y.cols; ++c)
        out[c] += routes.weight.row<double>(t)[j] * x.row<double>(rows[size_t(t * picks + j)])[c];
  });
}

void gather(Threads& threads, std::span<const index> rows, Rows x, Rows y) {
  for_rows(threads, y.rows, [&](index t) { std::copy_n(x.row<double>(rows[size_t(t)]), x.cols, y.row<double>(t)); });
}

}  // namespace

const Backend& ref_backend() {
  static const Backend backend = {.name = "ref",
                                  .real = Real::f64,
                                  .embed = embed,
                                  .rms_norm = rms_norm,
                                  .gated_rms_norm = gated_rms_norm,
                                  .linear = linear,
                                  .add = add,
                                  .relu2 = relu2,
                                  .causal_conv = causal_conv,
                                  .ssm_scan = ssm_scan,
                                  .kv_store = kv_store,
                                  .attention = attention,
                                  .route = route,
                                  .combine = combine,
                                  .gather = gather};
  return backend;
}

}  // namespace nemotron
