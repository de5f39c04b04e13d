import type { Random } from '../common/random.js';
import type { ModelConfig } from '../formats/model-config.js';
import type { LayerWeights } from '../models/layer-weights.js';
import type { Tensor } from '../tensor/tensor.js';
import type { CalibrationChunk } from './calibration-chunks.js';
import type { LayerBlock } from './layer-block.js';
import type { ScoreMetric } from './score-metrics.js';

/** How the kept weights make up for the removed ones. */
export type Recovery = 'refit' | 'lstsq' | 'mask' | 'none';

/** How a block is pruned; the defaults stand with the options of `prune`. */
export interface BlockMethod {
  metric: ScoreMetric;
  recover: Recovery;
  /** Choices of λ for least squares, in units of the mean diagonal. */
  dampings: readonly number[];
  /** λ of scores, in units of the mean diagonal. */
  scoreDamping: number;
  /** γ of `blend`. */
  blend: number;
  /** λ of mask tuning, in units of the mean diagonal. */
  maskDamping: number;
  /** A mask with larger values is rejected. */
  maskLimit: number;
  /** Share of the units that is removed between two scorings. */
  increment: number;
  /** A consumer with more inputs is scored once, whatever the increment. */
  maxRescoredWidth: number;
  /** A consumer with more inputs is looked at in two passes, to save memory. */
  maxWidthAtOnce: number;
  /** Stop a block before the variance of its tuned mask exceeds this. */
  maxMaskVariance?: number;
  /** Weigh every position by 1 / rms of the teacher's stream, as the next norm does. */
  weighPositions: boolean;
  /** Solve accepted weights once more with the held-out windows. */
  useHeldOut: boolean;
  /** Give the consumer a bias that stands for the mean of what was removed. */
  compensateBias: boolean;
}

/** The residual streams of the unpruned model and of the pruned one, chunk by chunk. */
export interface Streams {
  config: ModelConfig;
  frequencies: Tensor;
  chunks: readonly CalibrationChunk[];
  /** f32 [windows, window, hidden] each. */
  teacher: Tensor[];
  student: Tensor[];
  /** Whether the student may differ from the teacher. */
  drifted: boolean;
}

/** What shall stay of a block: so many units, or these. */
export type KeepUnits = number | readonly number[];

/** What was done to a block. */
export interface BlockReport {
  units: number;
  kept: number;
  /** Variance of the tuned mask, where it was tuned. */
  maskVariance?: number;
  /** Squared error on held-out rows after ÷ before re-solving the consumer. */
  consumerErrorRatio?: number;
  /** λ chosen for the consumer, and for the producers. */
  consumerDamping?: number;
  producerDampings?: (number | undefined)[];
}

/** Everything that {@link pruneBlock} works with. */
export interface BlockTask {
  block: LayerBlock;
  streams: Streams;
  /** The unpruned layer. */
  dense: LayerWeights;
  /** The layer as far as it is pruned; it may share tensors with the dense one. */
  layer: LayerWeights;
  keep: KeepUnits;
  /** A block that stops early stops at a multiple of this many removed units. */
  granularity: number;
  method: BlockMethod;
  random: Random;
  signal?: AbortSignal;
}
