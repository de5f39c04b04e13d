import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Sum over the rows: one value for each column, accumulated in f64.
 *
 * @param x f32 or f64 `[..., C]`, seen as a matrix of C columns
 * @returns f64 `[C]`
 * @throws EspalierError `DTYPE`, `SHAPE`
 */
export function sumRows(x: Tensor): Tensor {
  return new Tensor(native().sumRows(x.handle));
}
