// Factorisations by cuSOLVER, through its 64-bit interface where that has the routine. The library
// has matrices by columns, so that our lower triangle is its upper one and our rows are its
// columns. The declarations below are those of cusolverDn.h of CUDA 13, of which only opaque
// handles and enumerators are used.
#include <new>
#include <type_traits>

#include "cuda/cusolver.h"
#include "cuda/launch.h"
#include "cuda/open_library.h"
#include "cuda/scratch.h"

namespace espalier::cuda {
namespace {

constexpr const char* kLibrary = "libcusolver.so.12";

// Enumerators of library_types.h, cublas_api.h and cusolver_common.h.
constexpr int kSuccess = 0;
constexpr int kAllocationFailed = 2;
constexpr int kUpper = 1;
constexpr int kNotUnit = 0;
constexpr int kVectors = 1;
constexpr int kTypeF64 = 1;
template <class T>
constexpr int kType = std::is_same_v<T, double> ? kTypeF64 : 0;

}  // namespace

/// The library's functions; sizes of workspace are in bytes, on the device and on the host.
struct CusolverApi {
  int (*create)(void** handle);
  int (*destroy)(void* handle);
  int (*property)(int which, int* value);
  int (*set_stream)(void* handle, cudaStream_t stream);
  int (*create_parameters)(void** parameters);
  int (*destroy_parameters)(void* parameters);
  int (*potrf_size)(void* handle, void* parameters, int uplo, int64_t n, int type, const void* a,
                    int64_t lda, int compute, size_t* on_device, size_t* on_host);
  int (*potrf)(void* handle, void* parameters, int uplo, int64_t n, int type, void* a, int64_t lda,
               int compute, void* device_work, size_t on_device, void* host_work, size_t on_host,
               int* info);
  int (*potrs)(void* handle, void* parameters, int uplo, int64_t n, int64_t count, int type,
               const void* a, int64_t lda, int type_b, void* b, int64_t ldb, int* info);
  int (*trtri_size)(void* handle, int uplo, int diag, int64_t n, int type, void* a, int64_t lda,
                    size_t* on_device, size_t* on_host);
  int (*trtri)(void* handle, int uplo, int diag, int64_t n, int type, void* a, int64_t lda,
               void* device_work, size_t on_device, void* host_work, size_t on_host, int* info);
  int (*potri_size)(void* handle, int uplo, int n, double* a, int lda, int* doubles);
  int (*potri)(void* handle, int uplo, int n, double* a, int lda, double* work, int doubles,
               int* info);
  int (*syevd_size)(void* handle, void* parameters, int job, int uplo, int64_t n, int type,
                    const void* a, int64_t lda, int type_w, const void* w, int compute,
                    size_t* on_device, size_t* on_host);
  int (*syevd)(void* handle, void* parameters, int job, int uplo, int64_t n, int type, void* a,
               int64_t lda, int type_w, void* w, int compute, void* device_work, size_t on_device,
               void* host_work, size_t on_host, int* info);
  int (*gesvd_size)(void* handle, void* parameters, signed char job_u, signed char job_vt,
                    int64_t m, int64_t n, int type, const void* a, int64_t lda, int type_s,
                    const void* s, int type_u, const void* u, int64_t ldu, int type_vt,
                    const void* vt, int64_t ldvt, int compute, size_t* on_device, size_t* on_host);
  int (*gesvd)(void* handle, void* parameters, signed char job_u, signed char job_vt, int64_t m,
               int64_t n, int type, void* a, int64_t lda, int type_s, void* s, int type_u, void* u,
               int64_t ldu, int type_vt, void* vt, int64_t ldvt, int compute, void* device_work,
               size_t on_device, void* host_work, size_t on_host, int* info);
  int (*geqrf_size)(void* handle, void* parameters, int64_t m, int64_t n, int type, const void* a,
                    int64_t lda, int type_tau, const void* tau, int compute, size_t* on_device,
                    size_t* on_host);
  int (*geqrf)(void* handle, void* parameters, int64_t m, int64_t n, int type, void* a, int64_t lda,
               int type_tau, void* tau, int compute, void* device_work, size_t on_device,
               void* host_work, size_t on_host, int* info);
};

namespace {

// The library's functions, or why there are none.
std::unique_ptr<CusolverApi> open_api(OpenedLibrary& library) {
  library = open_library(kLibrary);
  if (library.handle == nullptr) return nullptr;
  auto api = std::make_unique<CusolverApi>();
  bind(library, api->create, "cusolverDnCreate");
  bind(library, api->destroy, "cusolverDnDestroy");
  bind(library, api->property, "cusolverGetProperty");
  bind(library, api->set_stream, "cusolverDnSetStream");
  bind(library, api->create_parameters, "cusolverDnCreateParams");
  bind(library, api->destroy_parameters, "cusolverDnDestroyParams");
  bind(library, api->potrf_size, "cusolverDnXpotrf_bufferSize");
  bind(library, api->potrf, "cusolverDnXpotrf");
  bind(library, api->potrs, "cusolverDnXpotrs");
  bind(library, api->trtri_size, "cusolverDnXtrtri_bufferSize");
  bind(library, api->trtri, "cusolverDnXtrtri");
  bind(library, api->potri_size, "cusolverDnDpotri_bufferSize");
  bind(library, api->potri, "cusolverDnDpotri");
  bind(library, api->syevd_size, "cusolverDnXsyevd_bufferSize");
  bind(library, api->syevd, "cusolverDnXsyevd");
  bind(library, api->gesvd_size, "cusolverDnXgesvd_bufferSize");
  bind(library, api->gesvd, "cusolverDnXgesvd");
  bind(library, api->geqrf_size, "cusolverDnXgeqrf_bufferSize");
  bind(library, api->geqrf, "cusolverDnXgeqrf");
  if (!library.reason.empty()) return nullptr;
  return api;
}

Status failure(const char* routine, int error) {
  if (error == kSuccess) return {};
  cudaGetLastError();  // what the library met stays recorded otherwise
  if (error == kAllocationFailed) {
    return {ErrorCode::out_of_memory, "the GPU has no memory left for cuSOLVER"};
  }
  return {ErrorCode::device_unavailable,
          std::string("cuSOLVER's ") + routine + ": error " + std::to_string(error)};
}

// Asks for the sizes of a routine's workspace, takes it and calls the routine. Workspace on the
// host must outlast what was queued.
template <class Ask, class Call>
Status with_workspace(CudaBackend& backend, const char* routine, Ask&& ask, Call&& call) {
  size_t on_device = 0;
  size_t on_host = 0;
  if (Status status = failure(routine, ask(&on_device, &on_host)); !status.ok()) return status;
  const Scratch<std::byte> device(backend, on_device);
  const std::unique_ptr<std::byte[]> host(new (std::nothrow) std::byte[on_host + 1]);
  if (device.data() == nullptr) return out_of_scratch();
  if (host == nullptr) return {ErrorCode::out_of_memory, "the host has no memory for cuSOLVER"};
  Status status = failure(routine, call(device.data(), on_device, host.get(), on_host));
  return status.ok() && on_host > 0 ? backend.synchronise() : status;
}

}  // namespace

Cusolver::Cusolver() {
  OpenedLibrary library;
  api_ = open_api(library);
}

Cusolver::~Cusolver() {
  if (parameters_ != nullptr) api_->destroy_parameters(parameters_);
  if (handle_ != nullptr) api_->destroy(handle_);
}

Status Cusolver::prepare(CudaBackend& backend) {
  backend.stream().queue_now();  // the library does not know what is held back
  if (handle_ == nullptr) {
    if (Status status = failure("create", api_->create(&handle_)); !status.ok()) {
      handle_ = nullptr;
      return status;
    }
    const int error = api_->set_stream(handle_, backend.stream());
    if (Status status = failure("set_stream", error); !status.ok()) return status;
  }
  if (parameters_ != nullptr) return {};
  return failure("create_parameters", api_->create_parameters(&parameters_));
}

template <class T>
Status Cusolver::cholesky(CudaBackend& backend, T* matrix, int64_t n, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  return with_workspace(
      backend, "potrf",
      [&](size_t* on_device, size_t* on_host) {
        return api_->potrf_size(handle_, parameters_, kUpper, n, kType<T>, matrix, n, kType<T>,
                                on_device, on_host);
      },
      [&](void* device, size_t on_device, void* host, size_t on_host) {
        return api_->potrf(handle_, parameters_, kUpper, n, kType<T>, matrix, n, kType<T>, device,
                           on_device, host, on_host, info);
      });
}

template Status Cusolver::cholesky(CudaBackend&, double*, int64_t, int*);
template Status Cusolver::cholesky(CudaBackend&, float*, int64_t, int*);

template <class T>
Status Cusolver::cholesky_solve(CudaBackend& backend, const T* factor, int64_t n, int64_t stride,
                                T* rows, int64_t count, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  return failure("potrs", api_->potrs(handle_, parameters_, kUpper, n, count, kType<T>, factor,
                                      stride, kType<T>, rows, n, info));
}

template Status Cusolver::cholesky_solve(CudaBackend&, const double*, int64_t, int64_t, double*,
                                         int64_t, int*);
template Status Cusolver::cholesky_solve(CudaBackend&, const float*, int64_t, int64_t, float*,
                                         int64_t, int*);

Status Cusolver::invert_triangle(CudaBackend& backend, double* factor, int64_t n, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  return with_workspace(
      backend, "trtri",
      [&](size_t* on_device, size_t* on_host) {
        return api_->trtri_size(handle_, kUpper, kNotUnit, n, kTypeF64, factor, n, on_device,
                                on_host);
      },
      [&](void* device, size_t on_device, void* host, size_t on_host) {
        return api_->trtri(handle_, kUpper, kNotUnit, n, kTypeF64, factor, n, device, on_device,
                           host, on_host, info);
      });
}

Status Cusolver::invert(CudaBackend& backend, double* factor, int64_t n, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  const auto order = static_cast<int>(n);
  int doubles = 0;
  return with_workspace(
      backend, "potri",
      [&](size_t* on_device, size_t* /*on_host*/) {
        const int error = api_->potri_size(handle_, kUpper, order, factor, order, &doubles);
        *on_device = sizeof(double) * static_cast<size_t>(doubles);
        return error;
      },
      [&](void* device, size_t, void*, size_t) {
        return api_->potri(handle_, kUpper, order, factor, order, static_cast<double*>(device),
                           doubles, info);
      });
}

Status Cusolver::eigen(CudaBackend& backend, double* matrix, int64_t n, double* values, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  return with_workspace(
      backend, "syevd",
      [&](size_t* on_device, size_t* on_host) {
        return api_->syevd_size(handle_, parameters_, kVectors, kUpper, n, kTypeF64, matrix, n,
                                kTypeF64, values, kTypeF64, on_device, on_host);
      },
      [&](void* device, size_t on_device, void* host, size_t on_host) {
        return api_->syevd(handle_, parameters_, kVectors, kUpper, n, kTypeF64, matrix, n, kTypeF64,
                           values, kTypeF64, device, on_device, host, on_host, info);
      });
}

// Read by columns the matrix is its transpose [n, m] = V diag(s) uᵀ: the library's left vectors are
// our vt, and its right ones our u.
Status Cusolver::singular(CudaBackend& backend, double* matrix, int64_t m, int64_t n, double* u,
                          double* s, double* vt, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  const signed char job = u != nullptr ? 'S' : 'N';
  return with_workspace(
      backend, "gesvd",
      [&](size_t* on_device, size_t* on_host) {
        return api_->gesvd_size(handle_, parameters_, job, job, n, m, kTypeF64, matrix, n, kTypeF64,
                                s, kTypeF64, vt, n, kTypeF64, u, m, kTypeF64, on_device, on_host);
      },
      [&](void* device, size_t on_device, void* host, size_t on_host) {
        return api_->gesvd(handle_, parameters_, job, job, n, m, kTypeF64, matrix, n, kTypeF64, s,
                           kTypeF64, vt, n, kTypeF64, u, m, kTypeF64, device, on_device, host,
                           on_host, info);
      });
}

Status Cusolver::qr(CudaBackend& backend, double* matrix, int64_t n, int64_t m, int* info) {
  if (Status status = prepare(backend); !status.ok()) return status;
  const Scratch<double> reflectors(backend, static_cast<size_t>(n));
  if (reflectors.data() == nullptr) return out_of_scratch();
  return with_workspace(
      backend, "geqrf",
      [&](size_t* on_device, size_t* on_host) {
        return api_->geqrf_size(handle_, parameters_, m, n, kTypeF64, matrix, m, kTypeF64,
                                reflectors.data(), kTypeF64, on_device, on_host);
      },
      [&](void* device, size_t on_device, void* host, size_t on_host) {
        return api_->geqrf(handle_, parameters_, m, n, kTypeF64, matrix, m, kTypeF64,
                           reflectors.data(), kTypeF64, device, on_device, host, on_host, info);
      });
}

Cusolver& CudaBackend::cusolver() {
  if (cusolver_ == nullptr) cusolver_ = std::make_shared<Cusolver>();
  return *cusolver_;
}

std::string describe_cusolver() {
  OpenedLibrary library;
  const auto api = open_api(library);
  if (api == nullptr) return "factorisations on the host by LAPACK: " + library.reason;
  std::string version;
  for (int part = 0; part < 3; ++part) {
    int number = 0;
    api->property(part, &number);
    if (part > 0) version += '.';
    version += std::to_string(number);
  }
  return "factorisations by cuSOLVER " + version + " from " + library.path;
}

}  // namespace espalier::cuda
