// Products by cuBLASLt: row-major c = a b is the library's column-major cᵀ = bᵀ aᵀ, so that its
// first factor is our second. The declarations below are those of cublasLt.h of CUDA 13, of which
// only opaque handles and enumerators are used. Reductions that depend on timing are left out,
// plans are kept for the shapes seen last.
#include <algorithm>

#include "cuda/cublaslt.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/open_library.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

namespace {

constexpr const char* kLibrary = "libcublasLt.so.13";

// Enumerators of library_types.h, cublas_api.h and cublasLt.h.
constexpr int kSuccess = 0;
constexpr int kTypeF32 = 0;
constexpr int kTypeBf16 = 14;
constexpr int kComputeF32 = 68;
constexpr int32_t kTransposed = 1;
constexpr int kDescTransposeA = 3;
constexpr int kDescTransposeB = 4;
constexpr int kDescEpilogue = 7;
constexpr int kDescBiasPointer = 8;
constexpr uint32_t kEpilogueBias = 4;
constexpr int kPreferWorkspace = 1;
constexpr int kPreferReductions = 3;
constexpr int kPreferAlignmentA = 5;
// Sums in workspace in the type of the sums or of the result; not in place, by turns.
constexpr uint32_t kOrderedReductions = 2 | 4;

constexpr uint64_t kWorkspace = uint64_t{32} << 20;
constexpr size_t kMostPlans = 256;
constexpr int64_t kThin = 16;

// cublasLtMatmulHeuristicResult_t.
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Heuristic) == 96);

}  // namespace

/// The library's functions.
struct CublasLtApi {
  int (*create)(void** handle);
  int (*destroy)(void* handle);
  size_t (*version)();
  int (*desc_create)(void** desc, int compute, int scale);
  int (*desc_destroy)(void* desc);
  int (*desc_set)(void* desc, int attribute, const void* value, size_t bytes);
  int (*layout_create)(void** layout, int type, uint64_t rows, uint64_t columns, int64_t ld);
  int (*layout_destroy)(void* layout);
  int (*preference_create)(void** preference);
  int (*preference_destroy)(void* preference);
  int (*preference_set)(void* preference, int attribute, const void* value, size_t bytes);
  int (*heuristic)(void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference,
                   int wanted, Heuristic* results, int* found);
  int (*matmul)(void* handle, void* desc, const void* alpha, const void* a, void* a_layout,
                const void* b, void* b_layout, const void* beta, const void* c, void* c_layout,
                void* d, void* d_layout, const void* algorithm, void* workspace, size_t bytes,
                cudaStream_t stream);
};

/// How products of one shape are done.
struct CublasLtPlan {
  const CublasLtApi& api;
  void* desc = nullptr;
  void* a = nullptr;
  void* b = nullptr;
  void* c = nullptr;
  Heuristic heuristic{};
  bool usable = false;

  explicit CublasLtPlan(const CublasLtApi& functions) : api(functions) {}
  CublasLtPlan(const CublasLtPlan&) = delete;
  CublasLtPlan& operator=(const CublasLtPlan&) = delete;
  ~CublasLtPlan() {
    for (void* layout : {a, b, c}) {
      if (layout != nullptr) api.layout_destroy(layout);
    }
    if (desc != nullptr) api.desc_destroy(desc);
  }
};

namespace {

// A product with all that the library is given, and the sizes that its plan was made for.
struct MatmulCall {
  std::array<int64_t, 13> key;
  const CublasLtApi* api;
  void* handle;
  const CublasLtPlan* plan;
  const void* a;
  const void* b;
  float* c;
  const float* bias;
  void* workspace;
  float factor;
  float beta;

  Status queue(cudaStream_t stream) const {
    if (bias != nullptr &&
        api->desc_set(plan->desc, kDescBiasPointer, &bias, sizeof(bias)) != kSuccess) {
      return {ErrorCode::device_unavailable, "cuBLASLt refuses a bias"};
    }
    const int error = api->matmul(handle, plan->desc, &factor, b, plan->a, a, plan->b, &beta, c,
                                  plan->c, c, plan->c, plan->heuristic.algorithm, workspace,
                                  plan->heuristic.workspace, stream);
    if (error == kSuccess) return {};
    return {ErrorCode::device_unavailable, "cuBLASLt: error " + std::to_string(error)};
  }
};

// The library's functions, or why there are none.
std::unique_ptr<CublasLtApi> open_api(OpenedLibrary& library) {
  library = open_library(kLibrary);
  if (library.handle == nullptr) return nullptr;
  auto api = std::make_unique<CublasLtApi>();
  bind(library, api->create, "cublasLtCreate");
  bind(library, api->destroy, "cublasLtDestroy");
  bind(library, api->version, "cublasLtGetVersion");
  bind(library, api->desc_create, "cublasLtMatmulDescCreate");
  bind(library, api->desc_destroy, "cublasLtMatmulDescDestroy");
  bind(library, api->desc_set, "cublasLtMatmulDescSetAttribute");
  bind(library, api->layout_create, "cublasLtMatrixLayoutCreate");
  bind(library, api->layout_destroy, "cublasLtMatrixLayoutDestroy");
  bind(library, api->preference_create, "cublasLtMatmulPreferenceCreate");
  bind(library, api->preference_destroy, "cublasLtMatmulPreferenceDestroy");
  bind(library, api->preference_set, "cublasLtMatmulPreferenceSetAttribute");
  bind(library, api->heuristic, "cublasLtMatmulAlgoGetHeuristic");
  bind(library, api->matmul, "cublasLtMatmul");
  if (!library.reason.empty()) return nullptr;
  return api;
}

int type_of(DType dtype) { return dtype == DType::f32 ? kTypeF32 : kTypeBf16; }

// Bytes that an address is a multiple of, as far as algorithms care.
uint32_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  for (uint32_t bytes = 16; bytes > 2; bytes /= 2) {
    if (address % bytes == 0) return bytes;
  }
  return 2;
}

__global__ void widen_kernel(const uint16_t* source, bool bf16, int64_t count, float* target) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    target[i] = bf16 ? to_float(Bf16{source[i]}) : to_float(F16{source[i]});
  }
}

}  // namespace

CublasLt::CublasLt() {
  OpenedLibrary library;
  api_ = open_api(library);
  if (api_ != nullptr && api_->create(&handle_) != kSuccess) handle_ = nullptr;
}

CublasLt::~CublasLt() {
  plans_.clear();
  if (handle_ != nullptr) api_->destroy(handle_);
}

bool CublasLt::wants(int64_t m, int64_t n, int64_t k) const {
  return handle_ != nullptr && m > kThin && n > kThin && k > kThin;
}

CublasLtPlan* CublasLt::plan_for(CudaBackend& backend, const Key& key, const TileProduct& p,
                                 const float* bias) {
  if (const auto found = plans_.find(key); found != plans_.end()) return found->second.get();
  if (plans_.size() >= kMostPlans) {
    backend.stream().queue_now();  // products that are held back use them
    plans_.clear();
  }
  auto& plan = plans_[key];
  plan = std::make_unique<CublasLtPlan>(*api_);
  const TileFactor& a = p.term.a;
  const TileFactor& b = p.term.b;
  const auto m = static_cast<uint64_t>(p.m);
  const auto n = static_cast<uint64_t>(p.n);
  const auto k = static_cast<uint64_t>(p.term.k);
  void* preference = nullptr;
  bool good = api_->desc_create(&plan->desc, kComputeF32, kTypeF32) == kSuccess &&
              api_->layout_create(&plan->a, type_of(b.dtype), b.inner_contiguous ? k : n,
                                  b.inner_contiguous ? n : k, b.stride) == kSuccess &&
              api_->layout_create(&plan->b, type_of(a.dtype), a.inner_contiguous ? k : m,
                                  a.inner_contiguous ? m : k, a.stride) == kSuccess &&
              api_->layout_create(&plan->c, kTypeF32, n, m, p.out.stride) == kSuccess &&
              api_->preference_create(&preference) == kSuccess;
  const auto set = [&](int attribute, const auto& value) {
    good = good && api_->desc_set(plan->desc, attribute, &value, sizeof(value)) == kSuccess;
  };
  const auto prefer = [&](int attribute, const auto& value) {
    good = good && api_->preference_set(preference, attribute, &value, sizeof(value)) == kSuccess;
  };
  // The library has the second factor [n, k] once it has turned round what is stored as [k, n].
  if (b.inner_contiguous) set(kDescTransposeA, kTransposed);
  if (!a.inner_contiguous) set(kDescTransposeB, kTransposed);
  if (bias != nullptr) {
    set(kDescEpilogue, kEpilogueBias);
    set(kDescBiasPointer, bias);
  }
  prefer(kPreferWorkspace, kWorkspace);
  prefer(kPreferReductions, kOrderedReductions);
  const void* addresses[] = {b.data, a.data, p.out.c, p.out.c};
  for (int i = 0; i < 4; ++i) prefer(kPreferAlignmentA + i, alignment_of(addresses[i]));
  int found = 0;
  plan->usable = good &&
                 api_->heuristic(handle_, plan->desc, plan->a, plan->b, plan->c, plan->c,
                                 preference, 1, &plan->heuristic, &found) == kSuccess &&
                 found > 0 && plan->heuristic.state == kSuccess;
  if (preference != nullptr) api_->preference_destroy(preference);
  return plan.get();
}

Status CublasLt::multiply(CudaBackend& backend, const TileProduct& p, bool& queued) {
  const TileFactor& a = p.term.a;
  const TileFactor& b = p.term.b;
  const bool has_bias = p.out.bias != nullptr;
  // The library takes a bias of the type of c.
  const bool widens = has_bias && p.out.bias_dtype != DType::f32;
  const Scratch<float> wide_bias(backend, static_cast<size_t>(widens ? p.n : 0));
  if (wide_bias.data() == nullptr) return out_of_scratch();
  const float* bias = widens ? wide_bias.data() : static_cast<const float*>(p.out.bias);
  const Key key{p.m,
                p.n,
                p.term.k,
                static_cast<int64_t>(a.dtype),
                static_cast<int64_t>(b.dtype),
                a.stride,
                b.stride,
                p.out.stride,
                int64_t{a.inner_contiguous} * 2 + int64_t{b.inner_contiguous},
                has_bias ? alignment_of(bias) : 0,
                alignment_of(a.data),
                alignment_of(b.data),
                alignment_of(p.out.c)};
  CublasLtPlan* plan = plan_for(backend, key, p, bias);
  queued = plan->usable;
  if (!queued) return {};
  if (widens) {
    Status status = launch(widen_kernel, {.blocks = blocks_for(p.n, 256), .threads = 256},
                           backend.stream(), static_cast<const uint16_t*>(p.out.bias),
                           p.out.bias_dtype == DType::bf16, p.n, wide_bias.data());
    if (!status.ok()) return status;
  }
  const Scratch<unsigned char> workspace(backend, plan->heuristic.workspace);
  if (workspace.data() == nullptr) return out_of_scratch();
  return backend.stream().add(
      reinterpret_cast<const void*>(api_->matmul),
      MatmulCall{key, api_.get(), handle_, plan, a.data, b.data, p.out.c, has_bias ? bias : nullptr,
                 workspace.data(), p.term.factor, p.out.beta});
}

CublasLt& CudaBackend::cublaslt() {
  if (cublaslt_ == nullptr) cublaslt_ = std::make_shared<CublasLt>();
  return *cublaslt_;
}

std::string describe_cublaslt() {
  OpenedLibrary library;
  const auto api = open_api(library);
  if (api == nullptr) return "products by own kernels: " + library.reason;
  const size_t version = api->version();
  return "products by cuBLASLt " + std::to_string(version / 10000) + "." +
         std::to_string(version / 100 % 100) + "." + std::to_string(version % 100) + " from " +
         library.path;
}

}  // namespace espalier::cuda
