import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `svd`. */
export interface SvdOptions {
  /** Whether singular vectors are wanted too. Default true. */
  vectors?: boolean;
}

/**
 * Thin singular value decomposition `a = U diag(s) Vᵀ`, in f64.
 *
 * @param a f32 or f64 `[m, n]`; k = min(m, n) ≤ 16384
 * @returns `s` f64 `[k]`, descending, and unless `vectors` is false `u` `[m, k]` and `vt` `[k, n]`
 * @throws EspalierError `DTYPE`, `SHAPE`; reading a result fails with `NUMERIC` when something is not
 * finite
 */
export function svd(a: Tensor, options: SvdOptions = {}): { u?: Tensor; s: Tensor; vt?: Tensor } {
  const [u, s, vt] = native().svd(a.handle, options.vectors ?? true);
  if (u === undefined || vt === undefined) return { s: new Tensor(s) };
  return { u: new Tensor(u), s: new Tensor(s), vt: new Tensor(vt) };
}
