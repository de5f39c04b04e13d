// Products of bf16 matrices: large ones in our AMX tiles where there are any, the rest through
// oneDNN's matmul primitive, whose kernels are compiled for one shape: those used last are kept.
#include <omp.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <vector>

#include "binding/cpu/amx_product.h"
#include "binding/cpu/gemm.h"
#include "dnnl.hpp"

namespace espalier::cpu {
namespace {

// Everything a kernel is compiled for; the library splits the work among the threads there are.
using Key = std::array<int64_t, 10>;

Key key_of(const GemmBf16& g) {
  return {g.m,   g.n,           g.k,           g.lda,        g.ldb,
          g.ldc, g.transpose_a, g.transpose_b, g.accumulate, omp_get_max_threads()};
}

struct Kernel {
  Key key{};
  uint64_t used = 0;
  dnnl::matmul primitive;
  dnnl::memory a;
  dnnl::memory b;
  dnnl::memory c;
};

// A model of unequal layers has a few dozen shapes.
constexpr size_t kKernels = 128;

// Never destroyed: the library's own statics may go first when the process ends.
struct Cache {
  std::mutex mutex;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<Kernel> kernels;
  uint64_t uses = 0;
};

Cache& cache() {
  static Cache& instance = *new Cache;
  return instance;
}

dnnl::memory::desc matrix(int64_t rows, int64_t columns, int64_t ld, bool transposed,
                          dnnl::memory::data_type type) {
  return {
      {rows, columns}, type, transposed ? dnnl::memory::dims{1, ld} : dnnl::memory::dims{ld, 1}};
}

Kernel compile(const GemmBf16& g, Cache& cache) {
  using Type = dnnl::memory::data_type;
  const auto a = matrix(g.m, g.k, g.lda, g.transpose_a, Type::bf16);
  const auto b = matrix(g.k, g.n, g.ldb, g.transpose_b, Type::bf16);
  const auto c = matrix(g.m, g.n, g.ldc, false, Type::f32);
  dnnl::primitive_attr attributes;
  if (g.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(cache.engine, a, b, c, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes,
                                                 cache.engine);
#endif
  return {.key = key_of(g),
          .used = 0,
          .primitive = dnnl::matmul(description),
          .a = {a, cache.engine, nullptr},
          .b = {b, cache.engine, nullptr},
          .c = {c, cache.engine, nullptr}};
}

Kernel& kernel_for(const GemmBf16& g, Cache& cache) {
  auto& kernels = cache.kernels;
  const Key key = key_of(g);
  auto found = std::ranges::find(kernels, key, &Kernel::key);
  if (found == kernels.end()) {
    Kernel kernel = compile(g, cache);
    if (kernels.size() < kKernels) {
      found = kernels.insert(kernels.end(), std::move(kernel));
    } else {
      found = std::ranges::min_element(kernels, {}, &Kernel::used);
      *found = std::move(kernel);
    }
  }
  found->used = ++cache.uses;
  return *found;
}

// From here on packing pays: smaller products stay in the caches as they lie.
bool takes_amx(const GemmBf16& g) {
  return std::min({g.m, g.n, g.k}) >= 512 && g.m * g.n * g.k >= int64_t{1} << 31 && has_amx_bf16();
}

}  // namespace

bool has_fast_bf16() {
#if defined(__x86_64__)
  static const bool fast = [] {
    const int isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
  }();
  return fast;
#else
  return false;
#endif
}

Status gemm_bf16(const GemmBf16& g) {
  if (g.m == 0 || g.n == 0) return {};
  if (g.k == 0) {
    for (int64_t row = 0; !g.accumulate && row < g.m; ++row) {
      std::fill_n(g.c + row * g.ldc, g.n, 0.0F);
    }
    return {};
  }
  if (takes_amx(g)) return amx_product(g);
  try {
    Cache& kernels = cache();
    const std::lock_guard lock(kernels.mutex);
    Kernel& kernel = kernel_for(g, kernels);
    kernel.a.set_data_handle(const_cast<uint16_t*>(g.a));
    kernel.b.set_data_handle(const_cast<uint16_t*>(g.b));
    kernel.c.set_data_handle(g.c);
    kernel.primitive.execute(
        kernels.stream,
        {{DNNL_ARG_SRC, kernel.a}, {DNNL_ARG_WEIGHTS, kernel.b}, {DNNL_ARG_DST, kernel.c}});
    kernels.stream.wait();
    return {};
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_out_of_memory) {
      return {ErrorCode::unsupported, "oneDNN refused a bf16 matrix product"};
    }
  } catch (const std::bad_alloc&) {
  }
  return {ErrorCode::out_of_memory, "the host has no memory left for a matrix product"};
}

}  // namespace espalier::cpu
