import { multiply } from '../ops/multiply.js';
import { sumColumns } from '../ops/sum-columns.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { settle } from '../tensor/settle.js';

/**
 * 1 / rms of every position of a residual stream: an error at a position counts for what follows in
 * proportion to it, because the next norm divides by the stream's rms [ours].
 * @param stream f32 [batch, sequence, hidden]
 * @returns f32 [batch · sequence]
 */
export async function streamFactors(
  stream: Tensor,
  eps: number,
  signal?: AbortSignal,
): Promise<Tensor> {
  const width = stream.shape.at(-1) ?? 1;
  const sums = scope(() => {
    const flat = stream.reshape([stream.size / width, width]);
    return sumColumns(multiply(flat, flat));
  });
  const squares = await settle(sums, signal);
  sums.dispose();
  return Tensor.from(
    Float32Array.from(squares as Float64Array, (sum) => 1 / Math.sqrt(sum / width + eps)),
    [squares.length],
    { device: stream.device },
  );
}
