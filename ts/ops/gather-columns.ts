import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import { type Indices, withIndices } from './indices.js';

/**
 * Takes positions along the last dimension, in any order, repeats allowed.
 *
 * @param x any dtype, at least one dimension
 * @param indices i32 tensor `[M]`, or numbers
 * @returns like `x`, with `M` as its last dimension
 * @throws EspalierError `SHAPE` for an index out of range (at once for numbers, when the result is
 * read for a tensor), `DTYPE`
 */
export function gatherColumns(x: Tensor, indices: Indices): Tensor {
  const rule = { op: 'gatherColumns', name: 'indices', limit: x.shape.at(-1) ?? 0 };
  return withIndices(
    indices,
    rule,
    x.device,
    (tensor) => new Tensor(native().gatherColumns(x.handle, tensor.handle)),
  );
}
