import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Eigen-decomposition `a = V diag(values) Vᵀ` of a symmetric matrix, in f64.
 *
 * @param a f32 or f64 `[n, n]`, n ≤ 16384; only the lower triangle is read
 * @returns `values` f64 `[n]`, ascending, and `vectors` f64 `[n, n]`, eigenvectors as columns
 * @throws EspalierError `DTYPE`, `SHAPE`; reading a result fails with `NUMERIC` when something is not
 * finite
 */
export function eigh(a: Tensor): { values: Tensor; vectors: Tensor } {
  const [values, vectors] = native().eigh(a.handle);
  return { values: new Tensor(values), vectors: new Tensor(vectors) };
}
