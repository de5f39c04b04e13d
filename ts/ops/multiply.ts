import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Product `x y`, element by element.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function multiply(x: Tensor, y: Tensor): Tensor {
  return new Tensor(native().multiply(x.handle, y.handle));
}
