import { linear } from '../ops/linear.js';
import { Tensor } from '../tensor/tensor.js';

/** A bias [out] repeated over `rows` rows: f32 [rows, out]. */
export function broadcastBias(bias: Tensor, rows: number): Tensor {
  const outputs = bias.shape[0] ?? 0;
  return linear(Tensor.zeros([rows, 1]), Tensor.zeros([outputs, 1]), bias);
}
