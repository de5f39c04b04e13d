import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * The `x` that minimises `‖a x - b‖`, of least norm when `a` is rank deficient, in f64.
 *
 * @param a f32 or f64 `[m, n]`
 * @param b f32 or f64 `[m]` or `[m, k]`
 * @returns f64 `[n]` or `[n, k]`
 * @throws EspalierError `DTYPE`, `SHAPE`; reading the result fails with `NUMERIC` when something is
 * not finite
 */
export function leastSquares(a: Tensor, b: Tensor): Tensor {
  return new Tensor(native().leastSquares(a.handle, b.handle));
}
