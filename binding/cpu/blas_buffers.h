// Keeps OpenBLAS from waiting for ever when memory runs short.
#pragma once

#include "binding/core/status.h"

namespace espalier::cpu {

/// Call before the first BLAS or LAPACK routine of an op. OpenBLAS maps a packing buffer on first
/// use and keeps it; when the mapping fails it tries again without end. So the first call here asks
/// for that much address space itself, then makes OpenBLAS map its buffer; later calls cost one
/// load. OUT_OF_MEMORY when there is no room, and the next call tries again.
Status prepare_blas();

/// Bounds OpenBLAS, and with it OpenMP, to this many threads. OpenBLAS maps a buffer for each
/// thread it has not had before; without address space for those it keeps the number it has.
void set_blas_threads(int threads);

}  // namespace espalier::cpu
