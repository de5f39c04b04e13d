import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link columnMoments}. */
export interface ColumnMomentsOptions {
  /** Result over earlier rows, f64 `[2, D]`, to merge into in place; default a new tensor. */
  into?: Tensor;
  /** How many rows `into` already covers; default 0, which overwrites it. */
  count?: number;
}

/**
 * Mean (row 0) and sum of squared deviations from it (row 1) of every column, in f64. Chunks of rows
 * are merged by the rule of Chan, Golub and LeVeque (1979).
 *
 * @param x f32 `[..., D]`; leading dimensions count as rows
 * @returns f64 `[2, D]`; `into` itself when given
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function columnMoments(x: Tensor, options: ColumnMomentsOptions = {}): Tensor {
  const { into, count = 0 } = options;
  const handle = native().columnMoments(x.handle, into?.handle, count);
  if (into === undefined) return new Tensor(handle);
  native().tensorDispose(handle);
  return into;
}
