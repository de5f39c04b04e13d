import { linear } from '../ops/linear.js';
import { type LoraProjection, loraLinear } from '../ops/lora-linear.js';
import { isTracked } from '../tensor/recorder.js';
import type { Tensor } from '../tensor/tensor.js';
import { dropoutSeedAt, type ForwardContext } from './forward-context.js';
import type { LinearWeights } from './layer-weights.js';

/**
 * Applies linear layers that read the same `x`, with their adapters: y = x Wᵀ + b + s (x Aᵀ) Bᵀ.
 * Frozen ones share the read of x.
 * @param x [..., in]
 * @returns [..., out] for each
 * @throws EspalierError `UNSUPPORTED` for an adapter on a weight that is itself trained
 */
export function project(
  x: Tensor,
  linears: readonly LinearWeights[],
  context: ForwardContext,
): Tensor[] {
  const products = linears[0]?.products ?? 'f32';
  const adapted = linears.some((layer) => context.adapters?.has(layer));
  if (!adapted && linears.some(({ weight }) => isTracked(weight))) {
    return linears.map(({ weight, bias }) => linear(x, weight, bias, { products }));
  }
  const projections = linears.map((layer): LoraProjection => {
    const { weight, bias } = layer;
    const base = bias === undefined ? { weight } : { weight, bias };
    const attached = context.adapters?.get(layer);
    if (attached === undefined) return base;
    const { a, b, scale, dropout: probability } = attached.adapter;
    const seed = probability > 0 ? dropoutSeedAt(context, attached.place) : undefined;
    const path = { a: a.value, b: b.value, scale };
    return { ...base, lora: seed === undefined ? path : { ...path, dropout: probability, seed } };
  });
  return loraLinear(x, projections, { products });
}
