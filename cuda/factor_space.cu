// Comparing and restoring the two triangles of a matrix, and its diagonal.
#include "cuda/device.h"
#include "cuda/factor.h"
#include "cuda/factor_space.h"
#include "cuda/launch.h"
#include "cuda/mirror.h"

namespace espalier::cuda {
namespace {

// Smaller matrices are cheaper to copy than to compare and write back.
constexpr int64_t kSmallest = 1024;

struct Compare {
  const double* a;
  int64_t n;
  int* differ;

  __device__ void operator()(int64_t i, int64_t j) const {
    const auto bits = [this](int64_t at) { return reinterpret_cast<const int64_t*>(a)[at]; };
    if (bits(i * n + j) != bits(j * n + i)) *differ = 1;
  }
};

struct WriteBack {
  double* a;
  int64_t n;

  __device__ void operator()(int64_t i, int64_t j) const { a[i * n + j] = a[j * n + i]; }
};

__global__ void copy_strided(const double* source, int64_t source_stride, double* target,
                             int64_t target_stride, int64_t count) {
  const int64_t i = global_thread();
  if (i < count) target[i * target_stride] = source[i * source_stride];
}

Status copy_diagonal(CudaBackend& backend, const double* source, int64_t source_stride,
                     double* target, int64_t target_stride, int64_t n) {
  return launch(copy_strided, {.blocks = blocks_for(n, 256), .threads = 256}, backend.stream(),
                source, source_stride, target, target_stride, n);
}

}  // namespace

Status FactorSpace::take(const ConstView& matrix, bool lent) {
  n_ = matrix.shape.columns();
  if (lent && n_ >= kSmallest) {
    scratch_ = std::make_unique<Scratch<double>>(backend_, static_cast<size_t>(n_));
    const Scratch<int> differ(backend_, 1);
    if (scratch_->data() == nullptr || differ.data() == nullptr) return out_of_scratch();
    auto* const a = const_cast<double*>(matrix.as<double>());
    const cudaError_t error = cudaMemsetAsync(differ.data(), 0, sizeof(int), backend_.stream());
    if (error != cudaSuccess) return status_of(error, "clear");
    Status status = for_each_mirrored(backend_, n_, Compare{a, n_, differ.data()});
    if (!status.ok()) return status;
    int differs = 0;
    if (status = read_info(backend_, differ.data(), differs); !status.ok()) return status;
    if (differs == 0) {
      matrix_ = a;
      return copy_diagonal(backend_, a, n_ + 1, scratch_->data(), 1, n_);
    }
  }
  scratch_ = std::make_unique<Scratch<double>>(backend_, static_cast<size_t>(n_ * n_));
  return scratch_->data() != nullptr ? Status() : out_of_scratch();
}

// A launch that fails here has no status to return; the device is lost then, and every later call
// says so.
FactorSpace::~FactorSpace() {
  if (matrix_ == nullptr) return;
  static_cast<void>(for_each_mirrored(backend_, n_, WriteBack{matrix_, n_}));
  static_cast<void>(copy_diagonal(backend_, scratch_->data(), 1, matrix_, n_ + 1, n_));
}

double* FactorSpace::data() const { return matrix_ != nullptr ? matrix_ : scratch_->data(); }

}  // namespace espalier::cuda
