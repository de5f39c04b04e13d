import { subtract } from '../ops/subtract.js';
import type { Tensor } from '../tensor/tensor.js';
import { broadcastBias } from './broadcast-bias.js';

/** [batch, sequence, width] as [rows, width]. */
export function flatRows(x: Tensor): Tensor {
  const width = x.shape.at(-1) ?? 0;
  return x.reshape([width === 0 ? 0 : x.size / width, width]);
}

/** Rows [rows, out] without the bias that they contain. */
export function withoutBias(x: Tensor, bias: Tensor | undefined): Tensor {
  return bias === undefined ? x : subtract(x, broadcastBias(bias, x.shape[0] ?? 0));
}
