/** The metrics on the conditioning of m ↦ Σ_j m_j x_j w_jᵀ. */
export const CONDITION_METRICS = ['sensitivity', 'residual', 'spectral', 'blend'] as const;

/** A metric on the conditioning of m ↦ Σ_j m_j x_j w_jᵀ. */
export type ConditionMetric = (typeof CONDITION_METRICS)[number];

/** The ways to score units; the largest scores stay. */
export const SCORE_METRICS = [
  ...CONDITION_METRICS,
  'reconstruction',
  'magnitude',
  'random',
  'wanda-sp',
  'flap',
] as const;

/** A way to score units. */
export type ScoreMetric = (typeof SCORE_METRICS)[number];

/** Whether a metric is one of the condition-based ones. */
export function isConditionMetric(metric: ScoreMetric): metric is ConditionMetric {
  return (CONDITION_METRICS as readonly string[]).includes(metric);
}

/** Whether a metric is computed from the Gram matrix of the consumer's inputs. */
export function needsGram(metric: ScoreMetric): boolean {
  return metric === 'reconstruction' || isConditionMetric(metric);
}

/** Whether a metric is computed from mean and variance of the consumer's inputs. */
export function needsMoments(metric: ScoreMetric): boolean {
  return metric === 'wanda-sp' || metric === 'flap';
}
