// (H + λI)⁻¹ B from one Cholesky factorisation by cuSOLVER, in f64 or refined to it (see
// damped_solver.h). H: [n, n] f32 or f64, lower triangle; B: [n] or [n, m] row-major, f32 or f64.
// The library solves rows, so B is turned before and after. Memory: the solver's and a copy of B.
// Where the library is missing, the CPU backend does it.
#include "cuda/cusolver.h"
#include "cuda/damped_solver.h"
#include "cuda/factor.h"
#include "cuda/on_host.h"
#include "cuda/scratch.h"

namespace espalier::cuda {

Status CudaBackend::cholesky_solve(const CholeskySolveArguments& a) {
  if (!cusolver().found()) {
    return on_host(*this, a, &Backend::cholesky_solve,
                   {&CholeskySolveArguments::h, &CholeskySolveArguments::b},
                   {&CholeskySolveArguments::output});
  }
  const int64_t n = a.h.shape.columns();
  const int64_t elements = a.output.shape.elements();
  if (elements == 0) return {};
  const int64_t m = elements / n;
  if (Status status = expect_finite(*this, a.b, "b"); !status.ok()) return status;
  const Scratch<double> turned(*this, static_cast<size_t>(elements));
  if (turned.data() == nullptr) return out_of_scratch();
  double lambda = 0;
  Status status = damping_of(*this, a.h, a.damping, a.relative, lambda);
  if (!status.ok()) return status;
  DampedSolver solver(*this, a.h, lambda, a.lent);
  if (status = solver.factor(m); !status.ok()) return status;
  auto* const x = a.output.as<double>();
  double* const rows = turned.data();
  const auto turn = [this](const double* from, int64_t height, int64_t width, double* to) {
    return transpose(
        {.x = {from, DType::f64, {height, width}}, .output = {to, DType::f64, {width, height}}});
  };
  if (status = copy_to_f64(*this, a.b, x); !status.ok()) return status;
  if (status = turn(x, n, m, rows); !status.ok()) return status;
  if (status = solver.solve(rows, m); !status.ok()) return status;
  if (status = turn(rows, m, n, x); !status.ok()) return status;
  return expect_finite(*this, {x, DType::f64, {n, m}}, "the solution");
}

}  // namespace espalier::cuda
