import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `conditionNumber`. */
export interface ConditionNumberOptions {
  /**
   * `'svd'` (default): all singular values, min(m, n) ≤ 16384. `'lanczos'`: the extreme ones alone,
   * faster for large matrices; a lower bound, within 1e-3 where the spectrum's ends are dense and
   * 1e-8 where the extreme values stand apart.
   */
  method?: 'svd' | 'lanczos';
}

/**
 * The 2-norm condition number `σ_max / σ_min` of a matrix; infinity when it is singular, 1 when it is
 * empty.
 *
 * @param a f32 or f64 `[m, n]`
 * @returns f64 `[]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`; reading the result fails with `NUMERIC` when `a`
 * holds NaN or infinity
 */
export function conditionNumber(a: Tensor, options: ConditionNumberOptions = {}): Tensor {
  return new Tensor(native().conditionNumber(a.handle, options.method ?? 'svd'));
}
