import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `leaveOneOut`. */
export interface LeaveOneOutOptions {
  /** λ in units of the mean diagonal of `h`. Default 0. */
  damping?: number;
  /**
   * How the condition numbers are found. `'exact'` (default): one eigen-decomposition, n ≤ 16384,
   * three `[n, n]` f64 of scratch; infinity where the matrix without the column is singular.
   * `'lanczos'`: extreme eigenpairs alone, one `[n, n]` f64 of scratch, within 1e-3 of the exact ones
   * (see the docs for very ill-conditioned matrices). `'none'`: residuals alone.
   */
  condition?: 'exact' | 'lanczos' | 'none';
}

/**
 * For every column `j` of `H + λI` at once: the squared residual `1/[(H + λI)⁻¹]_jj` that is left
 * after removing it and re-tuning the others, and the 2-norm condition number of the matrix without
 * row and column `j`.
 *
 * @param h symmetric positive semi-definite, f32 or f64 `[n, n]`; only the lower triangle is read
 * @returns `residual` and, unless `condition` is `'none'`, `condition`: f64 `[n]` each
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`; reading a result fails with `NUMERIC` when the
 * matrix is not positive definite (for `'exact'`: not semi-definite) or something is not finite
 */
export function leaveOneOut(
  h: Tensor,
  options: LeaveOneOutOptions = {},
): { residual: Tensor; condition?: Tensor } {
  const { damping = 0, condition = 'exact' } = options;
  const [residual, conditions] = native().leaveOneOut(h.handle, damping, condition);
  if (conditions === undefined) return { residual: new Tensor(residual) };
  return { residual: new Tensor(residual), condition: new Tensor(conditions) };
}
