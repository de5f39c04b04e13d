import { fluctuationScores, magnitudeScores, wandaScores } from './baseline-scores.js';
import { conditionScores } from './condition-scores.js';
import { reconstructionScores } from './reconstruction-scores.js';
import type { ScoreInputs } from './score-inputs.js';
import type { ScoreMetric } from './score-metrics.js';

/** One score per unit of a block; the largest are the most important. */
export async function unitScores(metric: ScoreMetric, inputs: ScoreInputs): Promise<Float64Array> {
  const units = (inputs.weights.consumer.weight.shape[1] ?? 0) / inputs.columnsPerUnit;
  switch (metric) {
    case 'random':
      return Float64Array.from({ length: units }, () => inputs.random.float());
    case 'magnitude':
      return magnitudeScores(inputs);
    case 'wanda-sp':
      return wandaScores(inputs);
    case 'flap':
      return fluctuationScores(inputs);
    case 'reconstruction':
      return reconstructionScores(inputs);
    default:
      return conditionScores(metric, inputs);
  }
}
