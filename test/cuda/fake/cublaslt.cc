// Stands in for cuBLASLt beside the emulated GPU: the documented meaning of the few functions that
// espalier calls, on host memory. It refuses sums of 77 elements, as the real one refuses what it
// has no algorithm for, and counts its products.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "binding/core/dtype.h"
#include "test/cuda/shim/stream.h"

namespace {

struct Desc {
  int32_t transpose_a = 0;
  int32_t transpose_b = 0;
  uint32_t epilogue = 1;
  const float* bias = nullptr;
};

struct Layout {
  int type;
  uint64_t rows;
  uint64_t columns;
  int64_t ld;
};

struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr int kInvalid = 7;
constexpr int kNotSupported = 15;
constexpr size_t kWorkspace = 100;

int64_t& count() {
  static int64_t products = 0;
  return products;
}

template <class T>
int assign(T& target, const void* value, size_t bytes) {
  if (bytes != sizeof(T)) return kInvalid;
  std::memcpy(&target, value, bytes);
  return 0;
}

// Element (row, column) of a column-major matrix, or of its transpose.
float element(const void* data, const Layout& layout, bool transposed, uint64_t row,
              uint64_t column) {
  const uint64_t at = transposed ? column + row * static_cast<uint64_t>(layout.ld)
                                 : row + column * static_cast<uint64_t>(layout.ld);
  if (layout.type == 0) return static_cast<const float*>(data)[at];
  return espalier::float_from_bf16(static_cast<const uint16_t*>(data)[at]);
}

// d = alpha op(a) op(b) + beta c, and a bias where the epilogue says so.
void multiply(const Desc& options, float alpha, const void* a, const Layout& la, const void* b,
              const Layout& lb, float beta, const float* c, float* d, const Layout& lc) {
  const bool turn_a = options.transpose_a != 0;
  const bool turn_b = options.transpose_b != 0;
  const uint64_t depth = turn_a ? la.rows : la.columns;
  for (uint64_t column = 0; column < lc.columns; ++column) {
    for (uint64_t row = 0; row < lc.rows; ++row) {
      float sum = 0;
      for (uint64_t l = 0; l < depth; ++l) {
        sum += element(a, la, turn_a, row, l) * element(b, lb, turn_b, l, column);
      }
      const uint64_t at = row + column * static_cast<uint64_t>(lc.ld);
      sum *= alpha;
      if (beta != 0) sum += beta * c[at];
      d[at] = sum + (options.epilogue == 4 ? options.bias[row] : 0.0F);
    }
  }
}

}  // namespace

extern "C" {

int64_t fake_cublaslt_products() { return count(); }

int cublasLtCreate(void** handle) {
  *handle = &count();
  return 0;
}
int cublasLtDestroy(void* /*handle*/) { return 0; }
size_t cublasLtGetVersion() { return 130002; }

int cublasLtMatmulDescCreate(void** desc, int compute, int scale) {
  if (compute != 68 || scale != 0) return kInvalid;
  *desc = new Desc;
  return 0;
}
int cublasLtMatmulDescDestroy(void* desc) {
  delete static_cast<Desc*>(desc);
  return 0;
}
int cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* value, size_t bytes) {
  auto& d = *static_cast<Desc*>(desc);
  if (attribute == 3) return assign(d.transpose_a, value, bytes);
  if (attribute == 4) return assign(d.transpose_b, value, bytes);
  if (attribute == 7) return assign(d.epilogue, value, bytes);
  if (attribute == 8) return assign(d.bias, value, bytes);
  return kInvalid;
}

int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns,
                               int64_t ld) {
  if (ld < static_cast<int64_t>(rows)) return kInvalid;
  *layout = new Layout{type, rows, columns, ld};
  return 0;
}
int cublasLtMatrixLayoutDestroy(void* layout) {
  delete static_cast<Layout*>(layout);
  return 0;
}

int cublasLtMatmulPreferenceCreate(void** preference) {
  *preference = new int(0);
  return 0;
}
int cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<int*>(preference);
  return 0;
}
int cublasLtMatmulPreferenceSetAttribute(void* /*preference*/, int attribute, const void* value,
                                         size_t bytes) {
  uint64_t workspace = 0;
  uint32_t number = 0;
  if (attribute == 1) return assign(workspace, value, bytes);
  if (attribute == 3 || (attribute >= 5 && attribute <= 8)) return assign(number, value, bytes);
  return kInvalid;
}

int cublasLtMatmulAlgoGetHeuristic(void* /*handle*/, void* desc, void* a, void* /*b*/, void* /*c*/,
                                   void* /*d*/, void* /*preference*/, int wanted,
                                   Heuristic* results, int* found) {
  const auto& layout = *static_cast<const Layout*>(a);
  const bool transposed = static_cast<const Desc*>(desc)->transpose_a != 0;
  if ((transposed ? layout.rows : layout.columns) == 77) return kNotSupported;
  *results = Heuristic{};
  results->algorithm[0] = 42;
  results->workspace = kWorkspace;
  *found = wanted;
  return 0;
}

int cublasLtMatmul(void* handle, void* desc, const float* alpha, const void* a, void* a_layout,
                   const void* b, void* b_layout, const float* beta, const float* c, void* c_layout,
                   float* d, void* d_layout, const uint64_t* algorithm, void* workspace,
                   size_t bytes, void* stream) {
  const auto& options = *static_cast<const Desc*>(desc);
  const auto& la = *static_cast<const Layout*>(a_layout);
  const auto& lb = *static_cast<const Layout*>(b_layout);
  const auto& lc = *static_cast<const Layout*>(c_layout);
  if (handle != &count() || algorithm[0] != 42 || bytes < kWorkspace || c_layout != d_layout ||
      la.type != lb.type || lc.type != 0 || (options.epilogue == 4 && options.bias == nullptr)) {
    return kInvalid;
  }
  const bool turn_a = options.transpose_a != 0;
  const bool turn_b = options.transpose_b != 0;
  const uint64_t depth = turn_a ? la.rows : la.columns;
  if ((turn_a ? la.columns : la.rows) != lc.rows || (turn_b ? lb.columns : lb.rows) != depth ||
      (turn_b ? lb.rows : lb.columns) != lc.columns) {
    return kInvalid;
  }
  ++count();
  static_cast<CudaShimStream*>(stream)->enqueue(
      &count(), [=, options = options, la = la, lb = lb, lc = lc, alpha = *alpha, beta = *beta] {
        std::memset(workspace, 0x5a, kWorkspace);
        multiply(options, alpha, a, la, b, lb, beta, c, d, lc);
      });
  return 0;
}

}  // extern "C"
