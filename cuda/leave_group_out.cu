// tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ) for each group g of s consecutive columns: the squared error
// left when the group's inputs go and the consumer W [out, n] is solved anew. G: [n, n] f64; W f32,
// bf16 or f16; everything is computed in f64.
//
// s = 1: ‖W_:j‖² / [(G + λI)⁻¹]_jj, the diagonal from the inverse Cholesky factor (cuSOLVER: potrf,
// trtri).
// s > 1: the blocks B_g of the inverse (potri) are factored (potrf), and the trace is
// Σ (B_g⁻¹ W_gᵀ)ᵀ ∘ W_g (potrs), rows of W a slice at a time.
// Memory: the factor (see factor_space.h), a block and a slice. Where the library is missing, the
// CPU backend does it.
#include <algorithm>
#include <vector>

#include "cuda/column_block.h"
#include "cuda/cusolver.h"
#include "cuda/factor.h"
#include "cuda/factor_space.h"
#include "cuda/on_host.h"
#include "cuda/reduce.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

// 32 MiB of f64 a slice.
constexpr int64_t kSliceElements = int64_t{1} << 22;
// Blocks that sum a slice: their number decides the order, so it depends on nothing.
constexpr unsigned kSumBlocks = 64;

// output[j] = Σ_row W[row, j]² / diagonal[j].
template <class Weight>
__global__ void divided_norms(const Weight* weight, int64_t rows, int64_t columns,
                              const double* diagonal, double* output) {
  __shared__ double scratch[kDown][kAcross];
  const int64_t column = block_column();
  const int64_t mine = column < columns ? column : columns - 1;
  double sum = 0;
  for (int64_t row = threadIdx.y; row < rows; row += kDown) {
    const auto value = static_cast<double>(to_float(weight[row * columns + mine]));
    sum += value * value;
  }
  sum = column_sum(sum, scratch);
  if (threadIdx.y == 0 && column < columns) output[column] = sum / diagonal[column];
}

// block [s, s] = the lower triangle of the inverse's block at `start`.
__global__ void copy_block(const double* inverse, int64_t n, int64_t start, int64_t s,
                           double* block) {
  for (int64_t e = global_thread(); e < s * s; e += global_threads()) {
    const int64_t i = e / s;
    const int64_t j = e % s;
    if (j <= i) block[e] = inverse[(start + i) * n + start + j];
  }
}

// Element e of a slice [.., s] of W's columns from `start` on.
template <class Weight>
__device__ inline double slice_element(const Weight* weight, int64_t n, int64_t start, int64_t s,
                                       int64_t e) {
  return static_cast<double>(to_float(weight[e / s * n + start + e % s]));
}

template <class Weight>
__global__ void copy_slice(const Weight* weight, int64_t n, int64_t start, int64_t s, int64_t count,
                           double* slice) {
  for (int64_t e = global_thread(); e < count; e += global_threads()) {
    slice[e] = slice_element(weight, n, start, s, e);
  }
}

// partial[block] = this block's part of Σ slice ∘ W.
template <class Weight>
__global__ void sum_products(const Weight* weight, int64_t n, int64_t start, int64_t s,
                             int64_t count, const double* slice, double* partial) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t e = global_thread(); e < count; e += global_threads()) {
    sum += slice[e] * slice_element(weight, n, start, s, e);
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

struct Store {
  double* target;
  __device__ void operator()(double sum) const { *target = sum; }
};

Status single(CudaBackend& backend, const LeaveGroupOutArguments& a, double* factor) {
  const int64_t n = a.g.shape.columns();
  const Scratch<double> diagonal(backend, static_cast<size_t>(n));
  if (diagonal.data() == nullptr) return out_of_scratch();
  if (Status status = invert_factor(backend, factor, n); !status.ok()) return status;
  Status status = inverse_diagonal(backend, factor, n, diagonal.data());
  if (!status.ok()) return status;
  return with_weight_type(a.weight.dtype, [&](auto weight) {
    using Weight = decltype(weight);
    return launch(divided_norms<Weight>, column_grid(n), backend.stream(), a.weight.as<Weight>(),
                  a.weight.shape.rows(), n, diagonal.data(), a.output.as<double>());
  });
}

// Scratch of one group.
struct GroupScratch {
  double* block;       // [s, s]
  double* slice;       // [slice_rows, s]
  int64_t slice_rows;  // rows of W at once
  double* partial;     // kSumBlocks for every slice
  int* solve_info;     // what potrs says of its arguments
};

// Queues output = the trace of the group at `start`; `info` gets what the block's factorisation
// says.
template <class Weight>
Status group_trace(CudaBackend& backend, const LeaveGroupOutArguments& a, const double* inverse,
                   int64_t start, const GroupScratch& scratch, int* info) {
  const int64_t n = a.g.shape.columns();
  const int64_t s = a.group_size;
  const int64_t rows = a.weight.shape.rows();
  const auto grid_of = [](int64_t count) {
    return Grid{.blocks = blocks_for(count, 256), .threads = 256};
  };
  Status status =
      launch(copy_block, grid_of(s * s), backend.stream(), inverse, n, start, s, scratch.block);
  if (!status.ok()) return status;
  if (status = backend.cusolver().cholesky(backend, scratch.block, s, info); !status.ok()) {
    return status;
  }
  double* partial = scratch.partial;
  for (int64_t first = 0; first < rows; first += scratch.slice_rows, partial += kSumBlocks) {
    const int64_t height = std::min(scratch.slice_rows, rows - first);
    const int64_t count = height * s;
    const Weight* weight = a.weight.as<Weight>() + first * n;
    if (status = launch(copy_slice<Weight>, grid_of(count), backend.stream(), weight, n, start, s,
                        count, scratch.slice);
        !status.ok()) {
      return status;
    }
    if (status = backend.cusolver().cholesky_solve(backend, scratch.block, s, s, scratch.slice,
                                                   height, scratch.solve_info);
        !status.ok()) {
      return status;
    }
    if (status = launch(sum_products<Weight>, {.blocks = kSumBlocks, .threads = 256},
                        backend.stream(), weight, n, start, s, count, scratch.slice, partial);
        !status.ok()) {
      return status;
    }
  }
  return finish_sum(backend, scratch.partial, partial - scratch.partial,
                    Store{a.output.as<double>() + start / s});
}

Status grouped(CudaBackend& backend, const LeaveGroupOutArguments& a, double* factor) {
  const int64_t n = a.g.shape.columns();
  const int64_t s = a.group_size;
  const int64_t rows = a.weight.shape.rows();
  const int64_t groups = n / s;
  const int64_t slice_rows = std::max<int64_t>(1, std::min(rows, kSliceElements / s));
  const int64_t slices = (rows + slice_rows - 1) / slice_rows;
  const Scratch<double> block(backend, static_cast<size_t>(s * s));
  const Scratch<double> slice(backend, static_cast<size_t>(slice_rows * s));
  const Scratch<double> partial(backend, static_cast<size_t>(slices) * kSumBlocks);
  const Scratch<int> info(backend, static_cast<size_t>(groups + 1));
  if (block.data() == nullptr || slice.data() == nullptr || partial.data() == nullptr ||
      info.data() == nullptr) {
    return out_of_scratch();
  }
  if (Status status = invert_product(backend, factor, n); !status.ok()) return status;
  const GroupScratch scratch{block.data(), slice.data(), slice_rows, partial.data(),
                             info.data() + groups};
  Status status = with_weight_type(a.weight.dtype, [&](auto weight) {
    for (int64_t g = 0; g < groups; ++g) {
      Status queued =
          group_trace<decltype(weight)>(backend, a, factor, g * s, scratch, info.data() + g);
      if (!queued.ok()) return queued;
    }
    return Status();
  });
  if (!status.ok()) return status;
  std::vector<int> failed(static_cast<size_t>(groups));
  if (status = backend.copy_to_host(failed.data(), {info.data(), DType::i32, {groups}});
      !status.ok()) {
    return status;
  }
  for (int64_t g = 0; g < groups; ++g) {
    const int minor = failed[static_cast<size_t>(g)];
    if (minor != 0) return inverse_not_positive_definite(g * s + minor - 1);
  }
  return {};
}

}  // namespace

Status CudaBackend::leave_group_out(const LeaveGroupOutArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::leave_group_out,
                   {&LeaveGroupOutArguments::g, &LeaveGroupOutArguments::weight},
                   {&LeaveGroupOutArguments::output});
  }
  const int64_t n = a.g.shape.columns();
  if (n == 0) return {};
  FactorSpace factor(*this);
  if (Status status = factor.take(a.g, a.lent); !status.ok()) return status;
  double lambda = 0;
  Status status = damping_of(*this, a.g, a.damping, true, lambda);
  if (!status.ok()) return status;
  if (status = factor_damped(*this, a.g, lambda, factor.data()); !status.ok()) return status;
  if (status =
          a.group_size == 1 ? single(*this, a, factor.data()) : grouped(*this, a, factor.data());
      !status.ok()) {
    return status;
  }
  return expect_finite(*this, {a.output.data, DType::f64, a.output.shape}, "w or a score");
}

}  // namespace espalier::cuda
