// The routines of OpenBLAS and LAPACK that this backend calls. Everything is column-major and by
// reference, as Fortran has it.
#pragma once

#include <cstdint>

namespace espalier::cpu {

/// Fortran INTEGER of the LAPACK in use (the LP64 interface).
using LapackInt = int32_t;

}  // namespace espalier::cpu

extern "C" {

/// Bounds OpenBLAS to this many threads of the shared OpenMP pool.
void openblas_set_num_threads(int threads);
/// Number of threads OpenBLAS would use.
int openblas_get_num_threads();
/// Build options and version of the OpenBLAS in use.
char* openblas_get_config();

/// C = alpha op(A) op(B) + beta C.
void dgemm_(const char* transa, const char* transb, const int32_t* m, const int32_t* n,
            const int32_t* k, const double* alpha, const double* a, const int32_t* lda,
            const double* b, const int32_t* ldb, const double* beta, double* c, const int32_t* ldc);
/// C = alpha A Aᵀ + beta C (trans "N") or alpha Aᵀ A + beta C (trans "T"), one triangle.
void dsyrk_(const char* uplo, const char* trans, const int32_t* n, const int32_t* k,
            const double* alpha, const double* a, const int32_t* lda, const double* beta, double* c,
            const int32_t* ldc);
/// B = alpha op(A) B (side "L") or alpha B op(A) (side "R"), A triangular.
void dtrmm_(const char* side, const char* uplo, const char* transa, const char* diag,
            const int32_t* m, const int32_t* n, const double* alpha, const double* a,
            const int32_t* lda, double* b, const int32_t* ldb);
/// B = alpha op(A)⁻¹ B (side "L") or alpha B op(A)⁻¹ (side "R"), A triangular.
void dtrsm_(const char* side, const char* uplo, const char* transa, const char* diag,
            const int32_t* m, const int32_t* n, const double* alpha, const double* a,
            const int32_t* lda, double* b, const int32_t* ldb);
/// Cholesky factor in place; info > 0: the leading minor of that order is not positive definite.
void dpotrf_(const char* uplo, const int32_t* n, double* a, const int32_t* lda, int32_t* info);
/// Inverse of a triangular matrix in place.
void dtrtri_(const char* uplo, const char* diag, const int32_t* n, double* a, const int32_t* lda,
             int32_t* info);
/// Eigenvalues (jobz "N") or also eigenvectors in place (jobz "V") of a symmetric matrix,
/// ascending, by divide and conquer. lwork = liwork = -1 asks for the sizes.
void dsyevd_(const char* jobz, const char* uplo, const int32_t* n, double* a, const int32_t* lda,
             double* w, double* work, const int32_t* lwork, int32_t* iwork, const int32_t* liwork,
             int32_t* info);
/// Thin singular value decomposition (jobz "S"; "N": values only) by divide and conquer; a is lost.
void dgesdd_(const char* jobz, const int32_t* m, const int32_t* n, double* a, const int32_t* lda,
             double* s, double* u, const int32_t* ldu, double* vt, const int32_t* ldvt,
             double* work, const int32_t* lwork, int32_t* iwork, int32_t* info);
/// Least squares of minimum norm by the singular value decomposition; a and b are overwritten.
void dgelsd_(const int32_t* m, const int32_t* n, const int32_t* nrhs, double* a, const int32_t* lda,
             double* b, const int32_t* ldb, double* s, const double* rcond, int32_t* rank,
             double* work, const int32_t* lwork, int32_t* iwork, int32_t* info);
/// QR factorisation in place.
void dgeqrf_(const int32_t* m, const int32_t* n, double* a, const int32_t* lda, double* tau,
             double* work, const int32_t* lwork, int32_t* info);
/// One triangle of U Uᵀ or Lᵀ L in place of the factor.
void dlauum_(const char* uplo, const int32_t* n, double* a, const int32_t* lda, int32_t* info);
/// C = alpha A B + beta C (side "L"), A symmetric.
void dsymm_(const char* side, const char* uplo, const int32_t* m, const int32_t* n,
            const double* alpha, const double* a, const int32_t* lda, const double* b,
            const int32_t* ldb, const double* beta, double* c, const int32_t* ldc);
}
