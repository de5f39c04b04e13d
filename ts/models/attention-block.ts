import type { ModelConfig } from '../formats/model-config.js';
import { attention, type AttentionOptions } from '../ops/attention.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { rope } from '../ops/rope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { ForwardContext } from './forward-context.js';
import type { LayerWeights } from './layer-weights.js';
import { project } from './project.js';

/** What the three projections of an attention block give, before norms and rotation. */
export interface AttentionProjections {
  /** [batch, sequence, heads · headDim] */
  query: Tensor;
  /** [batch, sequence, kvHeads · headDim] */
  key: Tensor;
  /** [batch, sequence, kvHeads · headDim] */
  value: Tensor;
}

/**
 * Rotates queries and keys by their positions and attends.
 * @param heads query [batch, sequence, heads, headDim], key and value [batch, sequence, kvHeads, headDim]
 * @param options what the layer says: its window, if any, and how it multiplies
 * @returns like the query
 */
export type Attend = (
  heads: AttentionProjections,
  options: Pick<AttentionOptions, 'window' | 'products'>,
) => Tensor;

/** The options of attention that a layer decides. */
export function layerAttention(
  layer: Pick<LayerWeights, 'shape' | 'query'>,
): Pick<AttentionOptions, 'window' | 'products'> {
  const { slidingWindow: window } = layer.shape;
  const { products = 'f32' } = layer.query;
  return window === undefined ? { products } : { window, products };
}

/** The q, k and v projections of the normalised stream `x` [batch, sequence, hidden]. */
export function attentionProjections(
  layer: LayerWeights,
  x: Tensor,
  context: ForwardContext = {},
): AttentionProjections {
  const linears = [layer.query, layer.key, layer.value];
  const [query, key, value] = project(x, linears, context) as [Tensor, Tensor, Tensor];
  return { query, key, value };
}

/**
 * From the projections to the input of o_proj: q/k norms, rotation, causal attention.
 * @param frequencies see `ropeFrequencies`, as a tensor [headDim / 2].
 * @param attend replaces rotation and attention
 * @returns [batch, sequence, heads · headDim], head after head.
 */
export function attentionContext(
  config: ModelConfig,
  layer: LayerWeights,
  projections: AttentionProjections,
  frequencies: Tensor,
  attend: Attend = causalAttention(frequencies),
): Tensor {
  const { headDim, rmsNormEps: eps } = config;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads } = layer.shape;
  const [batch, sequence] = projections.query.shape as [number, number];
  let query = projections.query.reshape([batch, sequence, heads, headDim]);
  let key = projections.key.reshape([batch, sequence, kvHeads, headDim]);
  const value = projections.value.reshape([batch, sequence, kvHeads, headDim]);
  if (layer.queryNorm !== undefined) query = rmsNorm(query, layer.queryNorm, eps);
  if (layer.keyNorm !== undefined) key = rmsNorm(key, layer.keyNorm, eps);
  const context = attend({ query, key, value }, layerAttention(layer));
  return context.reshape([batch, sequence, heads * headDim]);
}

/**
 * Position i of a sequence sees those up to i.
 * @param keyMask u8 [batch, sequence], 0 for padding that no position may see; default none.
 */
export function causalAttention(frequencies: Tensor, keyMask?: Tensor): Attend {
  return ({ query, key, value }, options) =>
    attention(rope(query, frequencies), rope(key, frequencies), value, {
      ...options,
      ...(keyMask === undefined ? {} : { keyMask }),
    });
}
