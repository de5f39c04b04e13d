import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Multiplies `target` by `x` in place, element by element. No gradient flows through it.
 *
 * @param target f32 or f64
 * @param x same dtype and shape, in other memory
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`, `CONFIG`
 */
export function multiplyInto(target: Tensor, x: Tensor): void {
  native().multiplyInto(target.handle, x.handle);
}
