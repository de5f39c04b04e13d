import type { Products } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { EMBEDDING_TENSOR, FINAL_NORM_TENSOR, HEAD_TENSOR } from './decoder-tensors.js';
import { loadWeight, productsOf, type WeightDType } from './layer-weights.js';

/** The weights outside the layers. */
export interface OuterWeights {
  /** [vocab, hidden] */
  embedding: Tensor;
  /** [hidden] */
  finalNorm: Tensor;
  /** [vocab, hidden]; the embedding itself in a tied model. */
  head: Tensor;
  /** How the head's factors are multiplied; default `f32`. */
  products?: Products;
}

/**
 * Loads the weights outside the layers. Dispose them with {@link disposeOuter}.
 * @throws EspalierError as `Checkpoint.tensor`.
 */
export function loadOuter(checkpoint: Checkpoint, dtype: WeightDType = 'auto'): OuterWeights {
  const embedding = loadWeight(checkpoint, EMBEDDING_TENSOR, dtype);
  return {
    embedding,
    finalNorm: loadWeight(checkpoint, FINAL_NORM_TENSOR, dtype),
    head: checkpoint.config.tieWordEmbeddings
      ? embedding
      : loadWeight(checkpoint, HEAD_TENSOR, dtype),
    products: productsOf(dtype),
  };
}

/** Disposes the weights outside the layers. */
export function disposeOuter(outer: OuterWeights): void {
  outer.embedding.dispose();
  outer.finalNorm.dispose();
  outer.head.dispose();
}
