import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Difference `x - y`, element by element.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function subtract(x: Tensor, y: Tensor): Tensor {
  return new Tensor(native().subtract(x.handle, y.handle));
}
