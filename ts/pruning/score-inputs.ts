import type { Random } from '../common/random.js';
import type { ActivationMoments } from './activation-moments.js';
import type { BlockWeights } from './layer-block.js';
import type { RegressionStatistics } from './regression-statistics.js';

/** What the scores of a block's units are computed from. */
export interface ScoreInputs {
  weights: BlockWeights;
  /** Rows of each producer that belong to one unit. */
  rowsPerUnit: readonly number[];
  /** Columns of the consumer that belong to one unit. */
  columnsPerUnit: number;
  /** Gram matrix of the consumer's inputs, for the metrics that need it. */
  statistics: RegressionStatistics;
  /** Mean and variance of the consumer's inputs, for the metrics that need them. */
  moments?: ActivationMoments;
  /** λ of factorisations, in units of the mean diagonal. */
  damping: number;
  /** γ of `blend`. */
  blend: number;
  random: Random;
  signal?: AbortSignal;
}
