// Gram matrices: the second moments that pruning scores and least squares are made of.
#pragma once

#include "binding/ops/submit.h"

namespace espalier::ops {

/// yᵀ x in f64 over all rows; y = x when not given, and then exactly symmetric. With `into` the
/// product is added to it in place and `into` is returned (without y its upper triangle counts and
/// is mirrored).
/// x f32/bf16/f16 [..., D], y of the same dtype [..., E] with as many rows, into f64 [E, D]; the
/// result is f64 [E, D]. Rank at least 1; leading dimensions are flattened into rows.
/// Precision: products of at most 256 rows are summed in f32, those sums in f64, so the error of an
/// entry is at most 256·2⁻²⁴ Σ_n |y_ni x_nj| (typically 2⁻²⁴ of that sum), whatever the number of
/// rows. Handing the rows over in several calls changes nothing when all but the last have a
/// multiple of 256 rows, and otherwise stays within the same bound. NaN and infinity reach the rows
/// and columns of their feature. Throws DTYPE, SHAPE, CONFIG (aliasing), DEVICE_MISMATCH.
Tensor gram(const Tensor& x, const OptionalTensor& y, const OptionalTensor& into);

}  // namespace espalier::ops
