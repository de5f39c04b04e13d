import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `choleskySolve`. */
export interface CholeskySolveOptions {
  /** Added to the diagonal of `h`: a multiple of its mean diagonal when `relative`. Default 0. */
  damping?: number;
  /** Whether `damping` counts in units of the mean diagonal. Default true. */
  relative?: boolean;
}

/**
 * Solves `(h + λI) x = b` for symmetric positive definite `h + λI`, by Cholesky in f64.
 *
 * @param h f32 or f64 `[n, n]`; only the lower triangle is read
 * @param b f32 or f64 `[n]` or `[n, m]`
 * @returns f64 with the shape of `b`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`; reading the result fails with `NUMERIC` when
 * `h + λI` is not positive definite or something is not finite
 */
export function choleskySolve(h: Tensor, b: Tensor, options: CholeskySolveOptions = {}): Tensor {
  const { damping = 0, relative = true } = options;
  return new Tensor(native().choleskySolve(h.handle, b.handle, damping, relative));
}
