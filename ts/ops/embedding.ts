import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Rows of a table by id.
 *
 * @param ids i32 or i64 `[...]`
 * @param table f32, bf16 or f16 `[V, D]`
 * @returns f32 `[..., D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`; an id outside `[0, V)` fails the read
 * with `SHAPE`
 */
export function embedding(ids: Tensor, table: Tensor): Tensor {
  return new Tensor(native().embedding(ids.handle, table.handle));
}
