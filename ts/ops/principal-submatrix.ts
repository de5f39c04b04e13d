import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import { type Indices, withIndices } from './indices.js';

/**
 * Takes the same positions along both dimensions of a square matrix, in any order, repeats allowed.
 *
 * @param x any dtype `[N, N]`
 * @param indices i32 tensor `[M]`, or numbers
 * @returns like `x`, `[M, M]`
 * @throws EspalierError `SHAPE` for an index out of range (at once for numbers, when the result is
 * read for a tensor), `DTYPE`
 */
export function principalSubmatrix(x: Tensor, indices: Indices): Tensor {
  const rule = { op: 'principalSubmatrix', name: 'indices', limit: x.shape[0] ?? 0 };
  return withIndices(
    indices,
    rule,
    x.device,
    (tensor) => new Tensor(native().principalSubmatrix(x.handle, tensor.handle)),
  );
}
