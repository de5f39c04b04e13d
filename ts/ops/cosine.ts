import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Cosine similarity of corresponding rows; 0 where either row has no length.
 *
 * @param x f32 `[..., D]`
 * @param y f32 of the same shape
 * @returns f32 `[...]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function cosine(x: Tensor, y: Tensor): Tensor {
  return new Tensor(native().cosine(x.handle, y.handle));
}
