import { trainable } from '../nn/trainable.js';
import type { Tensor } from '../tensor/tensor.js';
import type { AttachedAdapters } from './forward-context.js';
import type { LinearWeights } from './layer-weights.js';

/** What a layer consists of. */
export interface LayerParts {
  /** All its weights. */
  tensors: readonly Tensor[];
  /** Those that adapters can change. */
  linears: readonly LinearWeights[];
}

/**
 * How many layers from the bottom are neither trained nor adapted: what they give for a sample stays
 * the same while everything above them is trained.
 * @param embeddings the weights below the first layer
 */
export function frozenDepth(
  embeddings: readonly Tensor[],
  layers: readonly LayerParts[],
  adapters: AttachedAdapters | undefined,
): number {
  const trained = (tensor: Tensor) => trainable.has(tensor);
  if (embeddings.some(trained)) return 0;
  const lowest = layers.findIndex(
    ({ tensors, linears }) =>
      tensors.some(trained) || linears.some((linear) => adapters?.has(linear)),
  );
  return lowest === -1 ? layers.length : lowest;
}
