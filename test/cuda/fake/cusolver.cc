// Stands in for cuSOLVER beside the emulated GPU: the documented meaning of the few functions that
// espalier calls, on host memory, by LAPACK. It counts its factorisations, those in f32 apart too,
// and fails where tests want a failure: matrices of order 77 with an error of the library's own, of
// order 78 for lack of memory, and eigenvalues of order 79 do not converge.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "binding/cpu/lapack.h"
#include "test/cuda/shim/stream.h"

extern "C" {
void spotrf_(const char* uplo, const int32_t* n, float* a, const int32_t* lda, int32_t* info);
void spotrs_(const char* uplo, const int32_t* n, const int32_t* count, const float* a,
             const int32_t* lda, float* b, const int32_t* ldb, int32_t* info);
void dpotrs_(const char* uplo, const int32_t* n, const int32_t* count, const double* a,
             const int32_t* lda, double* b, const int32_t* ldb, int32_t* info);
void dpotri_(const char* uplo, const int32_t* n, double* a, const int32_t* lda, int32_t* info);
void dgesvd_(const char* jobu, const char* jobvt, const int32_t* m, const int32_t* n, double* a,
             const int32_t* lda, double* s, double* u, const int32_t* ldu, double* vt,
             const int32_t* ldvt, double* work, const int32_t* lwork, int32_t* info);
}

namespace {

constexpr int kInvalid = 3;
constexpr int kAllocationFailed = 2;
constexpr int kExecutionFailed = 6;
constexpr int kUpper = 1;
constexpr int kF32 = 0;
constexpr int kF64 = 1;
// Workspace that routines ask for: bytes on the device, and on the host where one wants any.
constexpr size_t kOnDevice = 100;
constexpr size_t kOnHost = 60;

int64_t& count() {
  static int64_t factorisations = 0;
  return factorisations;
}

int64_t& narrow_count() {
  static int64_t factorisations = 0;
  return factorisations;
}

struct Handle {
  CudaShimStream* stream = nullptr;
};

// Whether a handle has a stream. What that was given before is done then.
bool ready(void* handle) {
  CudaShimStream* stream = static_cast<Handle*>(handle)->stream;
  if (stream == nullptr) return false;
  stream->drain();
  return true;
}

bool is_float(int type) { return type == kF32 || type == kF64; }

// What a routine for order n returns, once it has used its workspace.
int outcome(int64_t n, void* device_work, size_t on_device, void* host_work, size_t on_host,
            size_t host_wanted) {
  if (on_device < kOnDevice || on_host < host_wanted) return kInvalid;
  std::memset(device_work, 0x5a, kOnDevice);
  if (host_wanted > 0) std::memset(host_work, 0x5a, host_wanted);
  if (n == 77) return kExecutionFailed;
  if (n == 78) return kAllocationFailed;
  ++count();
  return 0;
}

int ask(size_t* on_device, size_t* on_host, size_t host_wanted) {
  *on_device = kOnDevice;
  *on_host = host_wanted;
  return 0;
}

}  // namespace

extern "C" {

int64_t fake_cusolver_factorisations() { return count(); }
int64_t fake_cusolver_narrow_factorisations() { return narrow_count(); }

int cusolverDnCreate(void** handle) {
  *handle = new Handle;
  return 0;
}
int cusolverDnDestroy(void* handle) {
  delete static_cast<Handle*>(handle);
  return 0;
}
int cusolverGetProperty(int which, int* value) {
  constexpr int kVersion[] = {12, 0, 4};
  *value = kVersion[which];
  return 0;
}
int cusolverDnSetStream(void* handle, void* stream) {
  static_cast<Handle*>(handle)->stream = static_cast<CudaShimStream*>(stream);
  return 0;
}
int cusolverDnCreateParams(void** parameters) {
  *parameters = new int(42);
  return 0;
}
int cusolverDnDestroyParams(void* parameters) {
  delete static_cast<int*>(parameters);
  return 0;
}

int cusolverDnXpotrf_bufferSize(void* /*handle*/, void* /*parameters*/, int /*uplo*/, int64_t /*n*/,
                                int /*type*/, const void* /*a*/, int64_t /*lda*/, int /*compute*/,
                                size_t* on_device, size_t* on_host) {
  return ask(on_device, on_host, 0);
}
int cusolverDnXpotrf(void* handle, void* parameters, int uplo, int64_t n, int type, void* a,
                     int64_t lda, int compute, void* device_work, size_t on_device, void* host_work,
                     size_t on_host, int* info) {
  if (!ready(handle) || parameters == nullptr || uplo != kUpper || !is_float(type) ||
      compute != type || lda < n) {
    return kInvalid;
  }
  const auto order = static_cast<int32_t>(n);
  const auto stride = static_cast<int32_t>(lda);
  if (type == kF64) dpotrf_("U", &order, static_cast<double*>(a), &stride, info);
  if (type == kF32) ++narrow_count();
  if (type == kF32) spotrf_("U", &order, static_cast<float*>(a), &stride, info);
  return outcome(n, device_work, on_device, host_work, on_host, 0);
}
int cusolverDnXpotrs(void* handle, void* parameters, int uplo, int64_t n, int64_t columns, int type,
                     const void* a, int64_t lda, int type_b, void* b, int64_t ldb, int* info) {
  if (!ready(handle) || parameters == nullptr || uplo != kUpper || !is_float(type) ||
      type_b != type || lda < n || ldb < n) {
    return kInvalid;
  }
  const auto order = static_cast<int32_t>(n);
  const auto width = static_cast<int32_t>(columns);
  const auto stride = static_cast<int32_t>(lda);
  const auto stride_b = static_cast<int32_t>(ldb);
  if (type == kF64) {
    dpotrs_("U", &order, &width, static_cast<const double*>(a), &stride, static_cast<double*>(b),
            &stride_b, info);
  } else {
    spotrs_("U", &order, &width, static_cast<const float*>(a), &stride, static_cast<float*>(b),
            &stride_b, info);
  }
  return 0;
}

int cusolverDnXtrtri_bufferSize(void* /*handle*/, int /*uplo*/, int /*diag*/, int64_t /*n*/,
                                int /*type*/, void* /*a*/, int64_t /*lda*/, size_t* on_device,
                                size_t* on_host) {
  return ask(on_device, on_host, kOnHost);
}
int cusolverDnXtrtri(void* handle, int uplo, int diag, int64_t n, int type, void* a, int64_t lda,
                     void* device_work, size_t on_device, void* host_work, size_t on_host,
                     int* info) {
  if (!ready(handle) || uplo != kUpper || diag != 0 || type != kF64 || lda < n) return kInvalid;
  const auto order = static_cast<int32_t>(n);
  const auto stride = static_cast<int32_t>(lda);
  dtrtri_("U", "N", &order, static_cast<double*>(a), &stride, info);
  return outcome(n, device_work, on_device, host_work, on_host, kOnHost);
}

int cusolverDnDpotri_bufferSize(void* /*handle*/, int /*uplo*/, int /*n*/, double* /*a*/,
                                int /*lda*/, int* doubles) {
  *doubles = (kOnDevice + sizeof(double) - 1) / sizeof(double);
  return 0;
}
int cusolverDnDpotri(void* handle, int uplo, int n, double* a, int lda, double* work, int doubles,
                     int* info) {
  if (!ready(handle) || uplo != kUpper || lda < n) return kInvalid;
  dpotri_("U", &n, a, &lda, info);
  return outcome(n, work, sizeof(double) * static_cast<size_t>(doubles), nullptr, 0, 0);
}

int cusolverDnXsyevd_bufferSize(void* /*handle*/, void* /*parameters*/, int /*job*/, int /*uplo*/,
                                int64_t /*n*/, int /*type*/, const void* /*a*/, int64_t /*lda*/,
                                int /*type_w*/, const void* /*w*/, int /*compute*/,
                                size_t* on_device, size_t* on_host) {
  return ask(on_device, on_host, kOnHost);
}
int cusolverDnXsyevd(void* handle, void* parameters, int job, int uplo, int64_t n, int type,
                     void* a, int64_t lda, int type_w, void* w, int compute, void* device_work,
                     size_t on_device, void* host_work, size_t on_host, int* info) {
  if (!ready(handle) || parameters == nullptr || job != 1 || uplo != kUpper || type != kF64 ||
      type_w != kF64 || compute != kF64 || lda < n) {
    return kInvalid;
  }
  const auto order = static_cast<int32_t>(n);
  const auto stride = static_cast<int32_t>(lda);
  const int32_t doubles = 1 + 6 * order + 2 * order * order;
  const int32_t integers = 3 + 5 * order;
  std::vector<double> work(static_cast<size_t>(doubles));
  std::vector<int32_t> integer_work(static_cast<size_t>(integers));
  dsyevd_("V", "U", &order, static_cast<double*>(a), &stride, static_cast<double*>(w), work.data(),
          &doubles, integer_work.data(), &integers, info);
  if (n == 79) *info = 5;
  return outcome(n, device_work, on_device, host_work, on_host, kOnHost);
}

int cusolverDnXgesvd_bufferSize(void* /*handle*/, void* /*parameters*/, signed char /*job_u*/,
                                signed char /*job_vt*/, int64_t m, int64_t n, int /*type*/,
                                const void* /*a*/, int64_t /*lda*/, int /*type_s*/,
                                const void* /*s*/, int /*type_u*/, const void* /*u*/,
                                int64_t /*ldu*/, int /*type_vt*/, const void* /*vt*/,
                                int64_t /*ldvt*/, int /*compute*/, size_t* on_device,
                                size_t* on_host) {
  return m < n ? kInvalid : ask(on_device, on_host, 0);
}
int cusolverDnXgesvd(void* handle, void* parameters, signed char job_u, signed char job_vt,
                     int64_t m, int64_t n, int type, void* a, int64_t lda, int type_s, void* s,
                     int type_u, void* u, int64_t ldu, int type_vt, void* vt, int64_t ldvt,
                     int compute, void* device_work, size_t on_device, void* host_work,
                     size_t on_host, int* info) {
  if (!ready(handle) || parameters == nullptr || job_u != job_vt || type != kF64 ||
      type_s != kF64 || type_u != kF64 || type_vt != kF64 || compute != kF64 || m < n || lda < m ||
      ldu < m || ldvt < n) {
    return kInvalid;
  }
  const char job[] = {static_cast<char>(job_u), '\0'};
  const auto rows = static_cast<int32_t>(m);
  const auto columns = static_cast<int32_t>(n);
  const auto stride = static_cast<int32_t>(lda);
  const auto stride_u = static_cast<int32_t>(ldu);
  const auto stride_vt = static_cast<int32_t>(ldvt);
  const int32_t doubles = 8 * (rows + columns);
  std::vector<double> work(static_cast<size_t>(doubles));
  dgesvd_(job, job, &rows, &columns, static_cast<double*>(a), &stride, static_cast<double*>(s),
          static_cast<double*>(u), &stride_u, static_cast<double*>(vt), &stride_vt, work.data(),
          &doubles, info);
  if (n == 79) *info = 5;
  return outcome(n, device_work, on_device, host_work, on_host, 0);
}

int cusolverDnXgeqrf_bufferSize(void* /*handle*/, void* /*parameters*/, int64_t /*m*/,
                                int64_t /*n*/, int /*type*/, const void* /*a*/, int64_t /*lda*/,
                                int /*type_tau*/, const void* /*tau*/, int /*compute*/,
                                size_t* on_device, size_t* on_host) {
  return ask(on_device, on_host, 0);
}
int cusolverDnXgeqrf(void* handle, void* parameters, int64_t m, int64_t n, int type, void* a,
                     int64_t lda, int type_tau, void* tau, int compute, void* device_work,
                     size_t on_device, void* host_work, size_t on_host, int* info) {
  if (!ready(handle) || parameters == nullptr || type != kF64 || type_tau != kF64 ||
      compute != kF64 || lda < m) {
    return kInvalid;
  }
  const auto rows = static_cast<int32_t>(m);
  const auto columns = static_cast<int32_t>(n);
  const auto stride = static_cast<int32_t>(lda);
  const int32_t doubles = 64 * columns;
  std::vector<double> work(static_cast<size_t>(doubles));
  dgeqrf_(&rows, &columns, static_cast<double*>(a), &stride, static_cast<double*>(tau), work.data(),
          &doubles, info);
  return outcome(n, device_work, on_device, host_work, on_host, 0);
}

}  // extern "C"
