import { linear } from '../ops/linear.js';
import { Tensor } from '../tensor/tensor.js';

/** A bias [out] repeated over `rows` rows: f32 [rows, out]. */
export function broadcastBias(bias: Tensor, rows: number): Tensor {
  const outputs = bias.shape[0] ?? 0;
  const zeros = (height: number) => Tensor.zeros([height, 1], 'f32', bias.device);
  return linear(zeros(rows), zeros(outputs), bias);
}
