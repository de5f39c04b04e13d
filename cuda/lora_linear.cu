// Linear layers with low-rank adapters that read one x: for each projection p,
//   h_p = drop_p(x) A_pᵀ,   y_p = x W_pᵀ + s_p h_p B_pᵀ + b_p,
// and with g_p = s_p dy_p B_p
//   dB_p = s_p dy_pᵀ h_p,   dA_p = g_pᵀ drop_p(x),   dx = Σ_p dy_p W_p + drop_p(g_p A_p).
// x: [T, K] f32; W: [N, K] f32, bf16 or f16, never differentiated; A: [r, K], B: [N, r] f32.
// The low-rank terms are added while a tile of the product with W is still in registers, so that
// the wide results are written once. drop_p is inverted dropout whose mask is made anew wherever x
// or dx passes by, and stored nowhere. Low-rank products are f32; those with W are f32 or bf16.
#include "cuda/converted_factor.h"
#include "cuda/cuda_backend.h"
#include "cuda/product.h"
#include "cuda/scratch.h"
#include "cuda/tile_product.h"

namespace espalier::cuda {
namespace {

// A matrix whose rows are stored one after the other, as a factor summed along its rows...
TileFactor along_rows(const ConstView& matrix, int64_t width) {
  return {.data = matrix.data, .dtype = matrix.dtype, .stride = width};
}

// ... or along its columns.
TileFactor along_columns(const ConstView& matrix, int64_t width) {
  return {.data = matrix.data, .dtype = matrix.dtype, .stride = width, .inner_contiguous = false};
}

ConstView view_of(const float* data) { return {.data = data, .dtype = DType::f32, .shape = {0}}; }

DropoutMask dropout_of(const LoraPath& path) { return {path.dropout, path.seed}; }

// c [m, n] = term.
Status write_term(CudaBackend& backend, int64_t m, int64_t n, const TileTerm& term, float* c) {
  return tile_product(backend, {.m = m,
                                .n = n,
                                .term = term,
                                .extra = {},
                                .extra_dropout = {},
                                .list = {},
                                .out = {.c = c, .stride = n}});
}

// `x`: the factor that W multiplies, a.x or what bf16 products round it to.
Status project(CudaBackend& backend, const LoraLinearArguments& a, const LoraProjection& p,
               const TileFactor& x, int64_t rows, int64_t width) {
  const int64_t n = p.weight.shape[0];
  TileProduct product{
      .m = rows,
      .n = n,
      .term = {.a = x, .b = along_rows(p.weight, width), .k = width},
      .extra = {},
      .extra_dropout = {},
      .list = {},
      .out = {
          .c = p.output.as<float>(), .stride = n, .bias = p.bias.data, .bias_dtype = p.bias.dtype}};
  if (p.path.a.given()) {
    const int64_t rank = p.path.a.shape[0];
    TileTerm hidden{.a = along_rows(a.x, width), .b = along_rows(p.path.a, width), .k = width};
    hidden.a.dropout = dropout_of(p.path);
    Status status = write_term(backend, rows, rank, hidden, p.hidden.as<float>());
    if (!status.ok()) return status;
    product.extra = {.a = along_rows(view_of(p.hidden.as<float>()), rank),
                     .b = along_rows(p.path.b, rank),
                     .k = rank,
                     .factor = p.path.scale};
  }
  return multiply(backend, product, a.products);
}

// dB, dA, and g [rows, r] where something is made of it.
Status path_gradients(CudaBackend& backend, const LoraLinearBackwardArguments& a,
                      const LoraProjectionGradient& p, int64_t rows, int64_t width, float* g) {
  const int64_t n = p.weight.shape[0];
  const int64_t rank = p.path.a.shape[0];
  if (a.x_gradient.data != nullptr || p.a_gradient.data != nullptr) {
    Status status = write_term(backend, rows, rank,
                               {.a = along_rows(p.gradient, n),
                                .b = along_columns(p.path.b, rank),
                                .k = n,
                                .factor = p.path.scale},
                               g);
    if (!status.ok()) return status;
  }
  if (p.b_gradient.data != nullptr) {
    Status status = write_term(backend, n, rank,
                               {.a = along_columns(p.gradient, n),
                                .b = along_columns(p.hidden, rank),
                                .k = rows,
                                .factor = p.path.scale},
                               p.b_gradient.as<float>());
    if (!status.ok()) return status;
  }
  if (p.a_gradient.data == nullptr) return {};
  TileTerm term{.a = along_columns(view_of(g), rank), .b = along_columns(a.x, width), .k = rows};
  term.b.dropout = dropout_of(p.path);
  return write_term(backend, rank, width, term, p.a_gradient.as<float>());
}

// dx = beta dx + dy W + drop(g A); g is null without a path.
Status input_gradient(CudaBackend& backend, const LoraLinearBackwardArguments& a,
                      const LoraProjectionGradient& p, int64_t rows, int64_t width, const float* g,
                      float beta) {
  const int64_t n = p.weight.shape[0];
  TileProduct product{
      .m = rows,
      .n = width,
      .term = {.a = along_rows(p.gradient, n), .b = along_columns(p.weight, width), .k = n},
      .extra = {},
      .extra_dropout = {},
      .list = {},
      .out = {.c = a.x_gradient.as<float>(), .stride = width, .beta = beta}};
  if (g != nullptr) {
    const int64_t rank = p.path.a.shape[0];
    product.extra = {
        .a = along_rows(view_of(g), rank), .b = along_columns(p.path.a, width), .k = rank};
    product.extra_dropout = dropout_of(p.path);
  }
  return multiply(backend, product, a.products);
}

Status clear_wanted(CudaBackend& backend, const View& view) {
  return view.data == nullptr ? Status() : backend.clear(view);
}

}  // namespace

Status CudaBackend::lora_linear(const LoraLinearArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t width = a.x.shape.columns();
  const TileFactor x = along_rows(a.x, width);
  if (a.products == Products::f32) {
    for (const LoraProjection& p : a.projections) {
      if (Status status = project(*this, a, p, x, rows, width); !status.ok()) return status;
    }
    return {};
  }
  // One rounding for all projections.
  ConvertedFactor<Bf16> rounded(*this, x, rows, width);
  if (Status status = rounded.prepare(); !status.ok()) return status;
  for (const LoraProjection& p : a.projections) {
    Status status = project(*this, a, p, rounded.factor(), rows, width);
    if (!status.ok()) return status;
  }
  return {};
}

Status CudaBackend::lora_linear_backward(const LoraLinearBackwardArguments& a) {
  const int64_t rows = a.x.shape.rows();
  const int64_t width = a.x.shape.columns();
  bool written = false;
  for (const LoraProjectionGradient& p : a.projections) {
    const bool path = p.gradient.given() && p.path.a.given();
    const Scratch<float> g(*this, static_cast<size_t>(path ? rows * p.path.a.shape[0] : 0));
    if (g.data() == nullptr) return out_of_scratch();
    if (path) {
      Status status = path_gradients(*this, a, p, rows, width, g.data());
      if (!status.ok()) return status;
    } else {
      if (Status status = clear_wanted(*this, p.a_gradient); !status.ok()) return status;
      if (Status status = clear_wanted(*this, p.b_gradient); !status.ok()) return status;
    }
    if (a.x_gradient.data == nullptr || !p.gradient.given()) continue;
    Status status =
        input_gradient(*this, a, p, rows, width, path ? g.data() : nullptr, written ? 1.0F : 0.0F);
    if (!status.ok()) return status;
    written = true;
  }
  return written ? Status() : clear_wanted(*this, a.x_gradient);
}

}  // namespace espalier::cuda
