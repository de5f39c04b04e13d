import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Euclidean norm of many tensors together: the square root of the sum of all squares, in f64. NaN and
 * infinity propagate.
 *
 * @param tensors f32, at least one
 * @returns an f64 scalar
 * @throws EspalierError `DTYPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function globalNorm(tensors: readonly Tensor[]): Tensor {
  return new Tensor(native().globalNorm(tensors.map((tensor) => tensor.handle)));
}
