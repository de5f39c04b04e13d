// The routines of OpenBLAS and LAPACK that this backend calls. Everything is column-major and by
// reference, as Fortran has it.
#pragma once

extern "C" {

/// Bounds OpenBLAS to this many threads of the shared OpenMP pool.
void openblas_set_num_threads(int threads);
/// Build options and version of the OpenBLAS in use.
char* openblas_get_config();
}
