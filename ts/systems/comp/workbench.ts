import type { ModelConfig } from '../../formats/model-config.js';
import type { Checkpoint } from '../../models/checkpoint.js';
import type { OuterWeights } from '../../models/outer-weights.js';
import type { CalibrationChunk } from '../../pruning/calibration-chunks.js';
import type { Tensor } from '../../tensor/tensor.js';

/** What every pass through the model's layers works on. */
export interface Workbench {
  checkpoint: Checkpoint;
  config: ModelConfig;
  outer: OuterWeights;
  /** Inverse frequencies of the rotation, f32 [headDim / 2]. */
  frequencies: Tensor;
  chunks: readonly CalibrationChunk[];
  signal?: AbortSignal;
  /** Called after each layer of a pass. */
  onLayer?: (phase: string, layer: number) => void;
}
