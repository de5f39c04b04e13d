import type { ModelConfig } from '../../formats/model-config.js';
import type { Checkpoint } from '../../models/checkpoint.js';
import { EMBEDDING_TENSOR } from '../../models/decoder-tensors.js';
import { loadWeight } from '../../models/layer-weights.js';
import { disposeOuter, loadOuter, type OuterWeights } from '../../models/outer-weights.js';
import { type CalibrationChunk, embedChunks } from '../../pruning/calibration-chunks.js';
import type { Tensor } from '../../tensor/tensor.js';

/** What every pass through the model's layers works on. */
export interface Workbench {
  checkpoint: Checkpoint;
  config: ModelConfig;
  /** Inverse frequencies of the rotation, f32 [headDim / 2]. */
  frequencies: Tensor;
  chunks: readonly CalibrationChunk[];
  signal?: AbortSignal;
  /** Called after each layer of a pass. */
  onLayer?: (phase: string, layer: number) => void;
}

/**
 * Lends the weights outside the layers: they are mapped only while they are used, because every page
 * that was read counts until it is let go.
 */
export async function withOuter<T>(
  { checkpoint }: Pick<Workbench, 'checkpoint'>,
  body: (outer: OuterWeights) => Promise<T>,
): Promise<T> {
  const outer = loadOuter(checkpoint);
  try {
    return await body(outer);
  } finally {
    disposeOuter(outer);
  }
}

/** The residual stream entering the first layer, by chunk. */
export function embeddedChunks({ checkpoint, chunks }: Workbench): Tensor[] {
  const table = loadWeight(checkpoint, EMBEDDING_TENSOR, 'auto');
  const stream = embedChunks(chunks, table);
  table.dispose();
  return stream;
}
