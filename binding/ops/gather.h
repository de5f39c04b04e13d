// Rows or columns by index.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// y[i] = x[indices[i]] along the first dimension: x any dtype of rank >= 1, indices i32 [M] in any
/// order, repeats allowed. Throws DTYPE, SHAPE, DEVICE_MISMATCH; an index out of range fails the
/// read with SHAPE.
Tensor gather_rows(const Tensor& x, const Tensor& indices);

/// y[..., i] = x[..., indices[i]]; otherwise like gather_rows.
Tensor gather_columns(const Tensor& x, const Tensor& indices);

/// y[i, j] = x[indices[i], indices[j]] of a square x; otherwise like gather_rows. With `consume`
/// what x holds afterwards is undefined: under ascending indices both matrices together then need
/// little more memory than x does.
Tensor principal_submatrix(const Tensor& x, const Tensor& indices, bool consume = false);

}  // namespace espalier::ops
