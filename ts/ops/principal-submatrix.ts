import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import { type Indices, withIndices } from './indices.js';

/** Options of {@link principalSubmatrix}. */
export interface PrincipalSubmatrixOptions {
  /**
   * Disposes of `x` and lets its memory go while it is read, so that under ascending indices both
   * matrices together need little more than `x` does; what other handles to it hold afterwards is
   * undefined. Default false.
   */
  consume?: boolean;
}

/**
 * Takes the same positions along both dimensions of a square matrix, in any order, repeats allowed.
 *
 * @param x any dtype `[N, N]`
 * @param indices i32 tensor `[M]`, or numbers
 * @returns like `x`, `[M, M]`
 * @throws EspalierError `SHAPE` for an index out of range (at once for numbers, when the result is
 * read for a tensor), `DTYPE`
 */
export function principalSubmatrix(
  x: Tensor,
  indices: Indices,
  { consume = false }: PrincipalSubmatrixOptions = {},
): Tensor {
  const rule = { op: 'principalSubmatrix', name: 'indices', limit: x.shape[0] ?? 0 };
  const part = withIndices(
    indices,
    rule,
    x.device,
    (tensor) => new Tensor(native().principalSubmatrix(x.handle, tensor.handle, consume)),
  );
  if (consume) x.dispose();
  return part;
}
