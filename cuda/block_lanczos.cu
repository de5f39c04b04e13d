// Block Lanczos (Golub & Underwood 1977): the basis grows by four vectors, the remainder of their
// products with the operator is the next four. A block of the grid takes dot products of up to four
// vectors with one more at a time; what needs all four vectors together (making them orthonormal)
// is done by one block, which costs microseconds for vectors of ten thousand elements. Everything
// is f64, sums are in an order that depends on the sizes alone, and nothing is read back before the
// Ritz pairs.
#include <algorithm>
#include <cmath>

#include "cuda/block_lanczos.h"
#include "cuda/decompose.h"
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/launch.h"
#include "cuda/product_f64.h"

namespace espalier::cuda {
namespace {

constexpr int kBlock = BlockLanczos::kBlock;
constexpr int kMostThreads = 256;
// Below this part of the operator's size a new direction is rounding noise.
constexpr double kNegligible = 1e-13;

// Shared memory of block_dots.
struct DotScratch {
  double parts[kBlock][kMostThreads];
  double sums[kBlock][16];
};

// dots[c] = vectors_c · other for c < count, the same in all threads; 0 for others. Every thread
// must call it.
__device__ inline void block_dots(const double* vectors, int count, const double* other, int64_t n,
                                  double (&dots)[kBlock], DotScratch& scratch) {
  double sum[kBlock] = {};
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const double factor = other[i];
    for (int c = 0; c < count; ++c) sum[c] += vectors[c * n + i] * factor;
  }
  for (int c = 0; c < kBlock; ++c) scratch.parts[c][threadIdx.x] = sum[c];
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < kBlock * 16; e += static_cast<int>(blockDim.x)) {
    double total = 0;
    for (unsigned t = e % 16; t < blockDim.x; t += 16) total += scratch.parts[e / 16][t];
    scratch.sums[e / 16][e % 16] = total;
  }
  __syncthreads();
  for (int c = 0; c < kBlock; ++c) {
    dots[c] = 0;
    for (int s = 0; s < 16; ++s) dots[c] += scratch.sums[c][s];
  }
  __syncthreads();
}

// Uniform in [-1, 1), by splitmix64's finaliser.
__device__ inline double random_at(uint64_t index) {
  uint64_t z = (index + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  z ^= z >> 31;
  return static_cast<double>(static_cast<int64_t>(z) >> 11) * 0x1p-52;
}

// v -= Σ_{k<c} (v · block_k) block_k for row c of the block, whose earlier rows are orthonormal;
// ‖v‖ afterwards.
__device__ inline double subtract_earlier(double* block, int c, int64_t n, DotScratch& scratch) {
  double* v = block + c * n;
  double dots[kBlock];
  block_dots(block, c, v, n, dots, scratch);
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    for (int k = 0; k < c; ++k) v[i] -= dots[k] * block[k * n + i];
  }
  __syncthreads();
  block_dots(v, 1, v, n, dots, scratch);
  return sqrt(dots[0]);
}

__device__ inline void scale_row(double* v, int64_t n, double factor) {
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) v[i] *= factor;
  __syncthreads();
}

// Rows of the next block: those of the remainder, made orthonormal, and random ones where it gives
// out. One block of threads.
__global__ void start_block(const double* remainder, int last_width, double* block, int width,
                            int64_t n, const double* scale, uint64_t seed) {
  __shared__ DotScratch scratch;
  for (int c = 0; c < width; ++c) {
    double* v = block + c * n;
    double norm = 0;
    if (c < last_width) {
      for (int64_t i = threadIdx.x; i < n; i += blockDim.x) v[i] = remainder[c * n + i];
      __syncthreads();
      norm = subtract_earlier(block, c, n, scratch);
    }
    if (c >= last_width || !(norm > kNegligible * *scale)) {
      const uint64_t first = (seed + static_cast<uint64_t>(c)) << 32;
      for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        v[i] = random_at(first + static_cast<uint64_t>(i));
      }
      __syncthreads();
      norm = subtract_earlier(block, c, n, scratch);
    }
    scale_row(v, n, 1 / norm);
  }
}

// Makes rows that nearly are so orthonormal. One block of threads.
__global__ void orthonormalise_block(double* block, int width, int64_t n) {
  __shared__ DotScratch scratch;
  for (int c = 0; c < width; ++c) {
    scale_row(block + c * n, n, 1 / subtract_earlier(block, c, n, scratch));
  }
}

// coefficients[c, b] = vectors_c · basis_b, b = blockIdx.x.
__global__ void find_coefficients(const double* vectors, int count, const double* basis, int64_t n,
                                  double* coefficients, int64_t stride) {
  __shared__ DotScratch scratch;
  double dots[kBlock];
  block_dots(vectors, count, basis + blockIdx.x * n, n, dots, scratch);
  for (int c = 0; c < count; ++c) {
    if (threadIdx.x == 0) coefficients[c * stride + blockIdx.x] = dots[c];
  }
}

// vectors_c -= Σ_b coefficients[c, b] basis_b.
__global__ void subtract_projection(double* vectors, int count, const double* basis, int64_t size,
                                    int64_t n, const double* coefficients, int64_t stride) {
  for (int64_t i = global_thread(); i < n; i += global_threads()) {
    double sum[kBlock] = {};
    for (int64_t b = 0; b < size; ++b) {
      const double element = basis[b * n + i];
      for (int c = 0; c < count; ++c) sum[c] += coefficients[c * stride + b] * element;
    }
    for (int c = 0; c < count; ++c) vectors[c * n + i] -= sum[c];
  }
}

// scale = max(scale, ‖products_c‖). One block of threads.
__global__ void note_scale(const double* products, int count, int64_t n, double* scale) {
  __shared__ DotScratch scratch;
  double largest = *scale;
  for (int c = 0; c < count; ++c) {
    double dots[kBlock];
    block_dots(products + c * n, 1, products + c * n, n, dots, scratch);
    largest = fmax(largest, sqrt(dots[0]));
  }
  if (threadIdx.x == 0) *scale = largest;
}

// projected[first + c, i] = once[c, i] + twice[c, i] up to the diagonal.
__global__ void add_projections(const double* once, const double* twice, int64_t first, int count,
                                int64_t stride, double* projected) {
  for (int64_t i = global_thread(); i < first + count; i += global_threads()) {
    for (int c = 0; c < count; ++c) {
      if (i <= first + c) {
        projected[(first + c) * stride + i] = once[c * stride + i] + twice[c * stride + i];
      }
    }
  }
}

// packed [size, size] = the lower triangle of projected; *found = 1 where it is not finite.
__global__ void pack_lower(const double* projected, int64_t stride, int64_t size, double* packed,
                           int* found) {
  for (int64_t e = global_thread(); e < size * size; e += global_threads()) {
    const int64_t i = e / size;
    const int64_t j = e % size;
    if (j > i) continue;
    const double value = projected[i * stride + j];
    packed[e] = value;
    if (value - value != 0) *found = 1;
  }
}

// pairs[i] = the i-th largest Ritz value, pairs[size + i] = its residual. Everything but the last
// block's products lies in the basis, so the residual is the norm of a combination of the
// remainder's rows. One block of threads.
__global__ void describe_pairs(const double* values, const double* rotations, int64_t size,
                               const double* remainder, int last_width, int64_t n, double* pairs) {
  __shared__ DotScratch scratch;
  double gram[kBlock][kBlock];
  for (int a = 0; a < last_width; ++a) {
    block_dots(remainder, last_width, remainder + a * n, n, gram[a], scratch);
  }
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    const double* last = rotations + (size - i) * size - last_width;
    double total = 0;
    for (int a = 0; a < last_width; ++a) {
      for (int b = 0; b < last_width; ++b) total += last[a] * last[b] * gram[a][b];
    }
    pairs[i] = values[size - 1 - i];
    pairs[size + i] = sqrt(fmax(total, 0.0));
  }
}

// A block that takes dot products of vectors of n elements: some sixteen elements a thread.
unsigned threads_for(int64_t n) {
  return static_cast<unsigned>(std::clamp<int64_t>((n / 16 + 31) / 32 * 32, 32, kMostThreads));
}

}  // namespace

BlockLanczos::BlockLanczos(CudaBackend& backend, int64_t n, int64_t most)
    : backend_(backend),
      n_(n),
      most_(std::min(n, most)),
      basis_(backend, static_cast<size_t>(most_ * n)),
      remainder_(backend, static_cast<size_t>(kBlock * n)),
      projected_(backend, static_cast<size_t>(most_ * most_)),
      rotations_(backend, static_cast<size_t>(most_ * most_)),
      values_(backend, static_cast<size_t>(most_)),
      coefficients_(backend, static_cast<size_t>(2 * kBlock * most_)),
      found_(backend, static_cast<size_t>(2 * most_)),
      scale_(backend, 1) {}

bool BlockLanczos::allocated() const {
  const Scratch<double>* all[] = {&basis_,  &remainder_,    &projected_, &rotations_,
                                  &values_, &coefficients_, &found_,     &scale_};
  return std::ranges::all_of(all, [](const auto* scratch) { return scratch->data() != nullptr; });
}

Status BlockLanczos::project_out(double* vectors, int64_t count, double* coefficients) const {
  if (size_ == 0) return {};
  const auto width = static_cast<int>(count);
  Status status = launch(find_coefficients,
                         {.blocks = {static_cast<unsigned>(size_)}, .threads = threads_for(n_)},
                         backend_.stream(), vectors, width, basis_.data(), n_, coefficients, most_);
  if (!status.ok()) return status;
  return launch(subtract_projection, {.blocks = blocks_for(n_, 128), .threads = 128},
                backend_.stream(), vectors, width, basis_.data(), size_, n_, coefficients, most_);
}

// The next block stands at basis row size_, orthonormal and orthogonal to the basis. The second
// projection removes what rounding left of the first.
Status BlockLanczos::orthonormalise(int64_t width) {
  double* const block = basis_.data() + size_ * n_;
  const Grid one_block{.blocks = 1, .threads = threads_for(n_)};
  Status status = launch(start_block, one_block, backend_.stream(), remainder_.data(),
                         static_cast<int>(last_width_), block, static_cast<int>(width), n_,
                         scale_.data(), static_cast<uint64_t>(size_));
  if (!status.ok()) return status;
  for (int pass = 0; pass < 2; ++pass) {
    if (status = project_out(block, width, coefficients_.data()); !status.ok()) return status;
    if (status = launch(orthonormalise_block, one_block, backend_.stream(), block,
                        static_cast<int>(width), n_);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

Status BlockLanczos::extend(int64_t size, const SymmetricOperator& apply) {
  const Grid one_block{.blocks = 1, .threads = threads_for(n_)};
  if (size_ == 0) {
    const cudaError_t error = cudaMemsetAsync(scale_.data(), 0, sizeof(double), backend_.stream());
    if (error != cudaSuccess) return status_of(error, "clear");
  }
  const int64_t target = std::min(size, most_);
  while (size_ < target) {
    const int64_t width = std::min(kBlock, most_ - size_);
    if (Status status = orthonormalise(width); !status.ok()) return status;
    double* const product = remainder_.data();
    Status status = apply(basis_.data() + size_ * n_, product, width);
    if (!status.ok()) return status;
    if (status = launch(note_scale, one_block, backend_.stream(), product, static_cast<int>(width),
                        n_, scale_.data());
        !status.ok()) {
      return status;
    }
    const int64_t first = size_;
    size_ += width;
    last_width_ = width;
    double* const once = coefficients_.data();
    double* const twice = once + kBlock * most_;
    if (status = project_out(product, width, once); !status.ok()) return status;
    if (status = project_out(product, width, twice); !status.ok()) return status;
    if (status = launch(add_projections, {.blocks = blocks_for(size_, 128), .threads = 128},
                        backend_.stream(), once, twice, first, static_cast<int>(width), most_,
                        projected_.data());
        !status.ok()) {
      return status;
    }
  }
  return find_ritz_pairs();
}

Status BlockLanczos::find_ritz_pairs() {
  const Scratch<int> found(backend_, 1);
  if (found.data() == nullptr) return out_of_scratch();
  const cudaError_t error = cudaMemsetAsync(found.data(), 0, sizeof(int), backend_.stream());
  if (error != cudaSuccess) return status_of(error, "clear");
  Status status =
      launch(pack_lower, {.blocks = blocks_for(size_ * size_, 256), .threads = 256},
             backend_.stream(), projected_.data(), most_, size_, rotations_.data(), found.data());
  if (!status.ok()) return status;
  int not_all = 0;
  if (status = read_info(backend_, found.data(), not_all); !status.ok()) return status;
  if (not_all != 0) return not_finite("a product with the matrix");
  if (status = decompose_symmetric(backend_, rotations_.data(), size_, values_.data());
      !status.ok()) {
    return status;
  }
  if (status = launch(describe_pairs, {.blocks = 1, .threads = threads_for(n_)}, backend_.stream(),
                      values_.data(), rotations_.data(), size_, remainder_.data(),
                      static_cast<int>(last_width_), n_, found_.data());
      !status.ok()) {
    return status;
  }
  pairs_.resize(static_cast<size_t>(2 * size_));
  return backend_.copy_to_host(pairs_.data(), {found_.data(), DType::f64, {2 * size_}});
}

Status BlockLanczos::vectors(int64_t count, double* target) const {
  const double* const largest = rotations_.data() + (size_ - count) * size_;
  return multiply_f64(backend_, {largest, size_, 1}, {basis_.data(), n_, 1}, count, n_, size_,
                      target);
}

}  // namespace espalier::cuda
