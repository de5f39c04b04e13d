import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Multiplies many tensors by one number in place.
 *
 * @param tensors f32, at least one
 * @param factor f32 or f64 with one element
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function scaleInPlace(tensors: readonly Tensor[], factor: Tensor): void {
  native().scaleInPlace(
    tensors.map((tensor) => tensor.handle),
    factor.handle,
  );
}
