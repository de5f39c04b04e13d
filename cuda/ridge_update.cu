// W' = W + (C - W G)(G + λI)⁻¹ = (C + λW)(G + λI)⁻¹: least squares damped towards the current
// weights. W: [out, in] f32, bf16 or f16; G: [in, in] f64; C: [out, in] f64; W': f32. One Cholesky
// factorisation by cuSOLVER, in f64 or refined to it (see damped_solver.h); rows of W' are solved a
// block at a time. Everything is f64 up to the last rounding. Memory: the solver's and a block of
// rows. Where the library is missing, the CPU backend does it.
#include <algorithm>

#include "cuda/cusolver.h"
#include "cuda/damped_solver.h"
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/launch.h"
#include "cuda/on_host.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

// 128 MiB of f64 a block.
constexpr int64_t kBlockElements = int64_t{1} << 24;

template <class Weight>
__global__ void damp_towards(const Weight* weight, const double* c, double lambda, int64_t count,
                             double* x) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    x[i] = c[i] + lambda * static_cast<double>(to_float(weight[i]));
  }
}

__global__ void round_to_f32(const double* x, int64_t count, float* output) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    output[i] = static_cast<float>(x[i]);
  }
}

}  // namespace

Status CudaBackend::ridge_update(const RidgeUpdateArguments& a) {
  if (!cusolver().found()) {
    return on_host(
        *this, a, &Backend::ridge_update,
        {&RidgeUpdateArguments::weight, &RidgeUpdateArguments::g, &RidgeUpdateArguments::c},
        {&RidgeUpdateArguments::output});
  }
  const int64_t columns = a.weight.shape.columns();
  const int64_t rows = a.weight.shape.rows();
  if (rows == 0 || columns == 0) return {};
  const int64_t block_rows = std::clamp<int64_t>(kBlockElements / columns, 1, rows);
  const Scratch<double> block(*this, static_cast<size_t>(block_rows * columns));
  if (block.data() == nullptr) return out_of_scratch();
  double lambda = 0;
  Status status = damping_of(*this, a.g, a.damping, true, lambda);
  if (!status.ok()) return status;
  DampedSolver solver(*this, a.g, lambda, a.lent);
  if (status = solver.factor(rows); !status.ok()) return status;

  auto* const x = block.data();
  for (int64_t start = 0; start < rows; start += block_rows) {
    const int64_t height = std::min(block_rows, rows - start);
    const int64_t count = height * columns;
    const Grid grid{.blocks = blocks_for(count, 256), .threads = 256};
    if (status = with_weight_type(a.weight.dtype,
                                  [&](auto weight) {
                                    using Weight = decltype(weight);
                                    return launch(damp_towards<Weight>, grid, stream(),
                                                  a.weight.as<Weight>() + start * columns,
                                                  a.c.as<double>() + start * columns, lambda, count,
                                                  x);
                                  });
        !status.ok()) {
      return status;
    }
    if (status = expect_finite(*this, {x, DType::f64, {height, columns}}, "w or c"); !status.ok()) {
      return status;
    }
    if (status = solver.solve(x, height); !status.ok()) return status;
    float* const output = a.output.as<float>() + start * columns;
    if (status = launch(round_to_f32, grid, stream(), x, count, output); !status.ok()) {
      return status;
    }
  }
  return expect_finite(*this, {a.output.data, DType::f32, a.output.shape}, "the updated weight");
}

}  // namespace espalier::cuda
