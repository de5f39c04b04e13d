// Linear layers with low-rank adapters that read one x: for each projection p,
//   h_p = drop_p(x) A_pᵀ,   y_p = x W_pᵀ + s_p h_p B_pᵀ + b_p,
// and with g_p = s_p dy_p B_p
//   dB_p = s_p dy_pᵀ h_p,   dA_p = g_pᵀ drop_p(x),   dx = Σ_p dy_p W_p + drop_p(g_p A_p).
// x: [T, K] f32; W: [N, K] f32, bf16 or f16, never differentiated; A: [r, K], B: [N, r] f32.
// The low-rank terms are written first and the product with W adds itself to them, so that the wide
// results are not read once more. B is used transposed: each of its rows then lies like one of A.
// drop_p is inverted dropout whose mask is made anew wherever it is needed, a few rows at a time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "binding/cpu/lora_linear.cc"
#include "hwy/foreach_target.h"  // keeps its place before highway.h
#include "hwy/highway.h"
//
#include <algorithm>
#include <memory>
#include <vector>

#include "binding/cpu/cpu_backend.h"
#include "binding/cpu/philox.h"
#include "binding/cpu/scratch.h"
#include "binding/cpu/thin_product.h"
#include "binding/cpu/weight_product.h"

HWY_BEFORE_NAMESPACE();
namespace espalier::cpu::HWY_NAMESPACE {
namespace {

// output[i] = x[i] mask[start + i].
void drop(const DropoutMask& mask, uint64_t start, const float* x, int64_t count, float* output) {
  apply_dropout(mask, start, x, output, count);
}

// output[i] += x[i] mask[start + i]; overwrites x.
void add_dropped(const DropoutMask& mask, uint64_t start, float* x, int64_t count, float* output) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  apply_dropout(mask, start, x, x, count);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, output + i), hn::LoadU(d, x + i)), d, output + i);
  }
  for (; i < count; ++i) output[i] += x[i];
}

}  // namespace
}  // namespace espalier::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espalier::cpu {
namespace {

HWY_EXPORT(drop);
HWY_EXPORT(add_dropped);

// Elements of dropped activations that exist at once.
constexpr int64_t kDroppedElements = int64_t{1} << 18;
constexpr int64_t kPiece = 4096;

// Calls body(first row, rows) for chunks of rows whose dropped elements fit a buffer of `chunk`
// rows.
template <class Body>
void for_chunks(int64_t rows, int64_t chunk, Body&& body) {
  for (int64_t first = 0; first < rows; first += chunk) {
    body(first, std::min(chunk, rows - first));
  }
}

int64_t chunk_rows(int64_t rows, int64_t width) {
  return std::clamp<int64_t>(kDroppedElements / std::max<int64_t>(1, width), 1,
                             std::max<int64_t>(1, rows));
}

void drop_rows(const LoraPath& path, const float* x, int64_t first, int64_t rows, int64_t width,
               float* output) {
  const DropoutMask mask(path.dropout, path.seed);
  const int64_t count = rows * width;
  const int64_t start = first * width;
#pragma omp parallel for schedule(static) if (count > 4 * kPiece)
  for (int64_t i = 0; i < count; i += kPiece) {
    HWY_DYNAMIC_DISPATCH(drop)
    (mask, static_cast<uint64_t>(start + i), x + start + i, std::min(kPiece, count - i),
     output + i);
  }
}

void add_dropped_rows(const LoraPath& path, float* x, int64_t first, int64_t rows, int64_t width,
                      float* output) {
  const DropoutMask mask(path.dropout, path.seed);
  const int64_t count = rows * width;
  const int64_t start = first * width;
#pragma omp parallel for schedule(static) if (count > 4 * kPiece)
  for (int64_t i = 0; i < count; i += kPiece) {
    HWY_DYNAMIC_DISPATCH(add_dropped)
    (mask, static_cast<uint64_t>(start + i), x + i, std::min(kPiece, count - i),
     output + start + i);
  }
}

// target [columns, rows] = factor · source [rows, columns]ᵀ.
void transpose_scaled(const float* source, int64_t rows, int64_t columns, float factor,
                      float* target) {
#pragma omp parallel for schedule(static) if (rows * columns > 32768)
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      target[column * rows + row] = factor * source[row * columns + column];
    }
  }
}

// h = drop(x) Aᵀ of every path.
Status hidden_of(const LoraLinearArguments& a, int64_t rows, int64_t width) {
  std::vector<ThinDots> plain;
  bool drops = false;
  for (const LoraProjection& p : a.projections) {
    if (!p.path.a.given()) continue;
    if (p.path.dropout > 0) {
      drops = true;
    } else {
      plain.push_back({p.path.a.as<float>(), p.path.a.shape[0], p.hidden.as<float>()});
    }
  }
  if (!plain.empty()) thin_dots(a.x.as<float>(), rows, width, plain);
  if (!drops) return {};
  const int64_t chunk = chunk_rows(rows, width);
  const Scratch<float> dropped(static_cast<size_t>(chunk * width));
  if (dropped.data() == nullptr) return out_of_scratch();
  for (const LoraProjection& p : a.projections) {
    if (!p.path.a.given() || p.path.dropout == 0) continue;
    const int64_t rank = p.path.a.shape[0];
    for_chunks(rows, chunk, [&](int64_t first, int64_t count) {
      drop_rows(p.path, a.x.as<float>(), first, count, width, dropped.data());
      const ThinDots dots{p.path.a.as<float>(), rank, p.hidden.as<float>() + first * rank};
      thin_dots(dropped.data(), count, width, {&dots, 1});
    });
  }
  return {};
}

// Writes s h Bᵀ + b, as far as there is any, and adds the product that is still missing to
// `products`.
Status begin_projection(const LoraProjection& p, int64_t rows,
                        std::vector<WeightProduct>& products) {
  const int64_t n = p.weight.shape[0];
  if (rows == 0 || n == 0) return {};
  auto* y = p.output.as<float>();
  const int64_t rank = p.path.a.given() ? p.path.a.shape[0] : 0;
  if (p.bias.given()) fill_with_bias(p.bias, 0, n, rows, n, y);
  if (rank > 0) {
    const Scratch<float> bt(static_cast<size_t>(rank * n));
    if (bt.data() == nullptr) return out_of_scratch();
    transpose_scaled(p.path.b.as<float>(), n, rank, p.path.scale, bt.data());
    const ThinExpansion term{p.hidden.as<float>(), bt.data(), rank};
    thin_expand({&term, 1}, rows, n, y, p.bias.given());
  }
  products.push_back({.weight = p.weight, .y = y, .accumulate = p.bias.given() || rank > 0});
  return {};
}

// A projection's path in backward, with the gradient of its hidden: g = s dy B.
struct PathGradient {
  const LoraProjectionGradient& p;
  int64_t rank;
  Scratch<float> g;
  Scratch<float> bt;

  PathGradient(const LoraProjectionGradient& projection, int64_t rows)
      : p(projection),
        rank(projection.path.a.shape[0]),
        g(static_cast<size_t>(rows * rank)),
        bt(static_cast<size_t>(rank * projection.weight.shape[0])) {}
  [[nodiscard]] bool ok() const { return g.data() != nullptr && bt.data() != nullptr; }
};

using Paths = std::vector<std::unique_ptr<PathGradient>>;

// dB, and g where something is made of it.
void reduce_gradient(const PathGradient& path, int64_t rows, bool wants_x) {
  const LoraProjectionGradient& p = path.p;
  const int64_t n = p.weight.shape[0];
  const float* dy = p.gradient.as<float>();
  if (wants_x || p.a_gradient.data != nullptr) {
    transpose_scaled(p.path.b.as<float>(), n, path.rank, p.path.scale, path.bt.data());
    const ThinDots dots{path.bt.data(), path.rank, path.g.data()};
    thin_dots(dy, rows, n, {&dots, 1});
  }
  if (p.b_gradient.data != nullptr) {
    const ThinGradient gradient{p.hidden.as<float>(), path.rank, path.bt.data()};
    thin_gradient(dy, rows, n, {&gradient, 1}, false);
    transpose_scaled(path.bt.data(), path.rank, n, p.path.scale, p.b_gradient.as<float>());
  }
}

// dA of every path, and the paths' part of dx; returns whether dx has been written.
Status path_gradients(const LoraLinearBackwardArguments& a, const Paths& paths, int64_t rows,
                      int64_t width, bool& written) {
  auto* dx = a.x_gradient.as<float>();
  const auto* x = a.x.as<float>();
  std::vector<ThinGradient> gradients;
  std::vector<ThinExpansion> terms;
  bool drops = false;
  for (const auto& path : paths) {
    if (path->p.path.dropout > 0) {
      drops = true;
      continue;
    }
    if (path->p.a_gradient.data != nullptr) {
      gradients.push_back({path->g.data(), path->rank, path->p.a_gradient.as<float>()});
    }
    terms.push_back({path->g.data(), path->p.path.a.as<float>(), path->rank});
  }
  if (!gradients.empty()) thin_gradient(x, rows, width, gradients, false);
  if (dx != nullptr && !terms.empty()) {
    thin_expand(terms, rows, width, dx, written);
    written = true;
  }
  if (!drops) return {};
  const int64_t chunk = chunk_rows(rows, width);
  const Scratch<float> dropped(static_cast<size_t>(chunk * width));
  if (dropped.data() == nullptr) return out_of_scratch();
  if (dx != nullptr && !written) std::fill_n(dx, rows * width, 0.0F);
  written = true;
  for (const auto& path : paths) {
    const LoraPath& lora = path->p.path;
    if (lora.dropout == 0) continue;
    auto* da = path->p.a_gradient.as<float>();
    if (da != nullptr && rows == 0) std::fill_n(da, path->rank * width, 0.0F);
    for_chunks(rows, chunk, [&](int64_t first, int64_t count) {
      const float* g = path->g.data() + first * path->rank;
      if (da != nullptr) {
        drop_rows(lora, x, first, count, width, dropped.data());
        const ThinGradient gradient{g, path->rank, da};
        thin_gradient(dropped.data(), count, width, {&gradient, 1}, first > 0);
      }
      if (dx != nullptr) {
        const ThinExpansion term{g, lora.a.as<float>(), path->rank};
        thin_expand({&term, 1}, count, width, dropped.data(), false);
        add_dropped_rows(lora, dropped.data(), first, count, width, dx);
      }
    });
  }
  return {};
}

void zero_fill(const View& view) {
  if (view.data != nullptr) std::fill_n(view.as<float>(), view.shape.elements(), 0.0F);
}

}  // namespace

Status CpuBackend::lora_linear(const LoraLinearArguments& arguments) {
  const int64_t rows = arguments.x.shape.rows();
  const int64_t width = arguments.x.shape.columns();
  if (Status status = hidden_of(arguments, rows, width); !status.ok()) return status;
  std::vector<WeightProduct> products;
  for (const LoraProjection& p : arguments.projections) {
    if (Status status = begin_projection(p, rows, products); !status.ok()) return status;
  }
  return multiply_weights(arguments.x.as<float>(), rows, products, arguments.products);
}

Status CpuBackend::lora_linear_backward(const LoraLinearBackwardArguments& arguments) {
  const int64_t rows = arguments.x.shape.rows();
  const int64_t width = arguments.x.shape.columns();
  const bool wants_x = arguments.x_gradient.data != nullptr;
  Paths paths;
  for (const LoraProjectionGradient& p : arguments.projections) {
    if (!p.gradient.given() || !p.path.a.given()) {
      zero_fill(p.a_gradient);
      zero_fill(p.b_gradient);
      continue;
    }
    paths.push_back(std::make_unique<PathGradient>(p, rows));
    if (!paths.back()->ok()) return out_of_scratch();
    reduce_gradient(*paths.back(), rows, wants_x);
  }
  bool written = false;
  Status status = path_gradients(arguments, paths, rows, width, written);
  if (!status.ok() || !wants_x) return status;
  auto* dx = arguments.x_gradient.as<float>();
  for (const LoraProjectionGradient& p : arguments.projections) {
    if (!p.gradient.given()) continue;
    status =
        input_gradient(p.gradient.as<float>(), rows, p.weight, dx, written, arguments.products);
    if (!status.ok()) return status;
    written = true;
  }
  if (!written) zero_fill(arguments.x_gradient);
  return {};
}

}  // namespace espalier::cpu
#endif
