// Products of bf16 matrices in the tiles of AMX.
#pragma once

#include "binding/core/status.h"
#include "binding/cpu/gemm.h"

namespace espalier::cpu {

/// Whether this processor multiplies bf16 in AMX tiles and the system lets this process use them.
bool has_amx_bf16();

/// As gemm_bf16(), for m, n, k >= 1 and whatever the size; it pays for large ones. Needs
/// has_amx_bf16(). Sums do not depend on the number of threads. OUT_OF_MEMORY without room for
/// the packed operands: all of A and some hundreds of columns of B.
Status amx_product(const GemmBf16& g);

}  // namespace espalier::cpu
