import type { Products } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { EMBEDDING_TENSOR, FINAL_NORM_TENSOR, HEAD_TENSOR } from './decoder-tensors.js';
import { type HeldAs, loadWeight, productsOf } from './layer-weights.js';

/** The weights outside the layers. */
export interface OuterWeights {
  /** [vocab, hidden] */
  embedding: Tensor;
  /** [hidden] */
  finalNorm: Tensor;
  /** [vocab, hidden]; the embedding itself in a tied model and below a classifier. */
  head: Tensor;
  /** How the head's factors are multiplied; default `f32`. */
  products?: Products;
}

/**
 * Loads the weights outside the layers. Dispose them with {@link disposeOuter}.
 * @param options `head: false` leaves the head of the language model out
 * @throws EspalierError as `Checkpoint.tensor`.
 */
export function loadOuter(
  checkpoint: Checkpoint,
  dtype: HeldAs = 'auto',
  { head = true }: { head?: boolean } = {},
): OuterWeights {
  const embedding = loadWeight(checkpoint, EMBEDDING_TENSOR, dtype);
  return {
    embedding,
    finalNorm: loadWeight(checkpoint, FINAL_NORM_TENSOR, dtype),
    head:
      checkpoint.config.tieWordEmbeddings || !head
        ? embedding
        : loadWeight(checkpoint, HEAD_TENSOR, dtype),
    products: productsOf(dtype),
  };
}

/** The weights outside the layers by their names in a checkpoint; a tied head is not listed. */
export function namedOuterTensors({
  embedding,
  finalNorm,
  head,
}: OuterWeights): Map<string, Tensor> {
  const named = new Map([
    [EMBEDDING_TENSOR, embedding],
    [FINAL_NORM_TENSOR, finalNorm],
  ]);
  if (head !== embedding) named.set(HEAD_TENSOR, head);
  return named;
}

/** Disposes the weights outside the layers. */
export function disposeOuter(outer: OuterWeights): void {
  outer.embedding.dispose();
  outer.finalNorm.dispose();
  outer.head.dispose();
}
