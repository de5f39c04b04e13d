import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `leaveGroupOut`. */
export interface LeaveGroupOutOptions {
  /** Consecutive columns that go together; must divide their number. Default 1. */
  groupSize?: number;
  /** λ in units of the mean diagonal of `g`. Default 0.01. */
  damping?: number;
}

/**
 * The squared error of a linear layer when one group of its inputs is removed and the layer is
 * solved anew on the others: `tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ)`, for every group at once.
 *
 * @param g `XᵀX` of the layer's inputs, f64 `[n, n]`; only the lower triangle is read
 * @param w the layer's weights, f32, bf16 or f16 `[out, n]`
 * @returns f64 `[n / groupSize]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`; reading the result fails with `NUMERIC` when
 * `g + λI` is not positive definite or something is not finite
 */
export function leaveGroupOut(g: Tensor, w: Tensor, options: LeaveGroupOutOptions = {}): Tensor {
  const { groupSize = 1, damping = 0.01 } = options;
  return new Tensor(native().leaveGroupOut(g.handle, w.handle, groupSize, damping));
}
