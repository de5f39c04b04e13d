import { add } from '../ops/add.js';
import { dropout } from '../ops/dropout.js';
import { linear } from '../ops/linear.js';
import { scale } from '../ops/scale.js';
import { Tensor } from '../tensor/tensor.js';
import { applyLinear } from './apply-linear.js';
import { dropoutSeedAt, type ForwardContext } from './forward-context.js';
import type { LinearWeights } from './layer-weights.js';

/**
 * Applies linear layers that read the same `x`, with their adapters: y = x Wᵀ + b + s (x Aᵀ) Bᵀ.
 * @param x [..., in]
 * @returns [..., out] for each
 */
export function project(
  x: Tensor,
  linears: readonly LinearWeights[],
  context: ForwardContext,
): Tensor[] {
  return linears.map((layer) => {
    const base = applyLinear(layer, x);
    const attached = context.adapters?.get(layer);
    if (attached === undefined) return base;
    const { a, b, rank, scale: factor, dropout: probability } = attached.adapter;
    const seed = probability > 0 ? dropoutSeedAt(context, attached.place) : undefined;
    const input = seed === undefined ? x : dropout(x, probability, seed);
    const low = linear(input, a.value);
    const factors = Tensor.from(new Float32Array(rank).fill(factor));
    return add(base, linear(scale(low, factors, { axis: 'columns' }), b.value));
  });
}
