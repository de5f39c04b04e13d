import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Sum over the columns: one value for each row, accumulated in f64.
 *
 * @param x f32 or f64 `[..., C]`, seen as a matrix of C columns
 * @returns f64 `[rows]`
 * @throws EspalierError `DTYPE`, `SHAPE`
 */
export function sumColumns(x: Tensor): Tensor {
  return new Tensor(native().sumColumns(x.handle));
}
