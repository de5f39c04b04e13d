#include "binding/cpu/decompose.h"

#include <algorithm>

#include "binding/cpu/blas_buffers.h"
#include "binding/cpu/factor.h"
#include "binding/cpu/lapack.h"
#include "binding/cpu/scratch.h"

namespace espalier::cpu {

Status copy_for_lapack(const ConstView& a, double* target) {
  if (target == nullptr) return out_of_scratch();
  if (Status status = prepare_blas(); !status.ok()) return status;
  if (!all_finite(a)) return not_finite("a");
  copy_to_f64(a, target);
  return {};
}

Status decompose_symmetric(double* a, int64_t n, double* values, bool vectors) {
  const auto order = static_cast<LapackInt>(n);
  const char* job = vectors ? "V" : "N";
  const LapackInt ask = -1;
  double size = 0;
  LapackInt integers = 0;
  LapackInt info = 0;
  dsyevd_(job, "U", &order, a, &order, values, &size, &ask, &integers, &ask, &info);
  const auto doubles = static_cast<LapackInt>(size);
  const Scratch<double> work(static_cast<size_t>(doubles));
  const Scratch<LapackInt> integer_work(static_cast<size_t>(integers));
  if (work.data() == nullptr || integer_work.data() == nullptr) return out_of_scratch();
  dsyevd_(job, "U", &order, a, &order, values, work.data(), &doubles, integer_work.data(),
          &integers, &info);
  return info == 0 ? Status() : not_converged("the eigen-decomposition", "dsyevd", info);
}

Status decompose_singular(double* a, int64_t m, int64_t n, double* u, double* s, double* vt) {
  // Fortran sees aᵀ [n, m] = V diag(s) Uᵀ, so its left factor is our vt and its right one our u.
  const auto rows = static_cast<LapackInt>(n);
  const auto columns = static_cast<LapackInt>(m);
  const LapackInt rank = std::min(rows, columns);
  const char* job = u != nullptr ? "S" : "N";
  const LapackInt ask = -1;
  double size = 0;
  LapackInt info = 0;
  const Scratch<LapackInt> integer_work(static_cast<size_t>(8 * rank));
  if (integer_work.data() == nullptr) return out_of_scratch();
  dgesdd_(job, &rows, &columns, a, &rows, s, vt, &rows, u, &rank, &size, &ask, integer_work.data(),
          &info);
  const auto doubles = static_cast<LapackInt>(size);
  const Scratch<double> work(static_cast<size_t>(doubles));
  if (work.data() == nullptr) return out_of_scratch();
  dgesdd_(job, &rows, &columns, a, &rows, s, vt, &rows, u, &rank, work.data(), &doubles,
          integer_work.data(), &info);
  return info == 0 ? Status() : not_converged("the singular value decomposition", "dgesdd", info);
}

}  // namespace espalier::cpu
