import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link gram}. */
export interface GramOptions {
  /** Left factor `[..., E]`, same dtype and number of rows as x; default x itself. */
  y?: Tensor;
  /** f64 `[E, D]` to add to in place; default a new tensor. */
  into?: Tensor;
}

/**
 * Second moments `YᵀX` over all rows, in f64; without y `XᵀX`, exactly symmetric. Products of at
 * most 256 rows are summed in f32, those sums in f64: an entry's error is at most
 * `256·2⁻²⁴ Σ|yᵢ xⱼ|`, however many rows are accumulated.
 *
 * @param x f32, bf16 or f16 `[..., D]`; leading dimensions count as rows
 * @returns f64 `[E, D]`; `into` itself when given
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function gram(x: Tensor, options: GramOptions = {}): Tensor {
  const { y, into } = options;
  const handle = native().gram(x.handle, y?.handle, into?.handle);
  if (into === undefined) return new Tensor(handle);
  native().tensorDispose(handle);
  return into;
}
