import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Matrix transpose.
 *
 * @param x any dtype `[R, C]`
 * @returns same dtype `[C, R]`
 * @throws EspalierError `SHAPE`
 */
export function transpose(x: Tensor): Tensor {
  return new Tensor(native().transpose(x.handle));
}
