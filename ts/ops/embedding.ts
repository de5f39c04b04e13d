import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/** What {@link embedding} can be told. */
export interface EmbeddingOptions {
  /** A row of the table that gets no gradient, as PyTorch's `padding_idx`. Default: none. */
  paddingIndex?: number;
}

/**
 * Rows of a table by id.
 *
 * @param ids i32 or i64 `[...]`
 * @param table f32, bf16 or f16 `[V, D]`
 * @returns f32 `[..., D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`; an id outside `[0, V)` fails the read
 * with `SHAPE`
 */
export function embedding(ids: Tensor, table: Tensor, options: EmbeddingOptions = {}): Tensor {
  const output = new Tensor(native().embedding(ids.handle, table.handle));
  const rows = table.shape[0] as number;
  record({
    op: 'embedding',
    inputs: [table],
    outputs: [output],
    saved: [ids],
    backward: ([gradient], [kept]) => [
      embeddingBackward(gradient as Tensor, kept as Tensor, rows, options),
    ],
  });
  return output;
}

/**
 * The gradient of {@link embedding} for its table from that of its output: row v sums the gradient
 * rows whose id is v, in their order.
 *
 * @param gradient f32 `[..., D]`
 * @param ids i32 or i64 `[...]`
 * @param rows V
 * @returns f32 `[V, D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function embeddingBackward(
  gradient: Tensor,
  ids: Tensor,
  rows: number,
  options: EmbeddingOptions = {},
): Tensor {
  const { paddingIndex = -1 } = options;
  return new Tensor(native().embeddingBackward(gradient.handle, ids.handle, rows, paddingIndex));
}
