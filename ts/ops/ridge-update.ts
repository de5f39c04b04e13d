import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `ridgeUpdate`. */
export interface RidgeUpdateOptions {
  /** λ in units of the mean diagonal of `g`; towards infinity the weights stay as they are. Default 0.01. */
  damping?: number;
}

/**
 * Re-solves a linear layer by least squares, damped towards its current weights:
 * `W + (C - W G)(G + λI)⁻¹`, the minimiser of `‖Y - X W'ᵀ‖² + λ‖W' - W‖²`.
 *
 * @param w current weights, f32, bf16 or f16 `[out, in]`
 * @param g `XᵀX` of the layer's inputs, f64 `[in, in]`; only the lower triangle is read
 * @param c `YᵀX` of the wanted outputs and the inputs, f64 `[out, in]`
 * @returns f32 `[out, in]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`; reading the result fails with `NUMERIC` when
 * `g + λI` is not positive definite or something is not finite
 */
export function ridgeUpdate(
  w: Tensor,
  g: Tensor,
  c: Tensor,
  options: RidgeUpdateOptions = {},
): Tensor {
  const { damping = 0.01 } = options;
  return new Tensor(native().ridgeUpdate(w.handle, g.handle, c.handle, damping));
}
