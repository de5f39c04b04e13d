import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import { type Indices, withIndices } from './indices.js';

/**
 * Takes positions along the first dimension, in any order, repeats allowed.
 *
 * @param x any dtype, at least one dimension
 * @param indices i32 tensor `[M]`, or numbers
 * @returns like `x`, with `M` as its first dimension
 * @throws EspalierError `SHAPE` for an index out of range (at once for numbers, when the result is
 * read for a tensor), `DTYPE`
 */
export function gatherRows(x: Tensor, indices: Indices): Tensor {
  const rule = { op: 'gatherRows', name: 'indices', limit: x.shape[0] ?? 0 };
  return withIndices(
    indices,
    rule,
    x.device,
    (tensor) => new Tensor(native().gatherRows(x.handle, tensor.handle)),
  );
}
