import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * `Σ (x - y)²`, or `Σ x²` without `y`, accumulated in f64.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @returns an f64 scalar
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function squaredError(x: Tensor, y?: Tensor): Tensor {
  return new Tensor(native().squaredError(x.handle, y?.handle));
}
