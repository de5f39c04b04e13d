import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Adds `x` to `target` in place.
 *
 * @param target f32 or f64
 * @param x same dtype and shape
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function accumulate(target: Tensor, x: Tensor): void {
  native().accumulate(target.handle, x.handle);
}
