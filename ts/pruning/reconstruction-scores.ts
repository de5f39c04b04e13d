import { leaveGroupOut } from '../ops/leave-group-out.js';
import type { ScoreInputs } from './score-inputs.js';
import { settle } from '../tensor/settle.js';

/**
 * `reconstruction`: tr(W_g ([(G + λI)⁻¹]_gg)⁻¹ W_gᵀ), the squared error that is left when a unit's
 * inputs go and the whole consumer is solved anew [ours].
 */
export async function reconstructionScores(inputs: ScoreInputs): Promise<Float64Array> {
  const { weights, columnsPerUnit, statistics, damping, signal } = inputs;
  const scores = leaveGroupOut(statistics.requireGram(), weights.consumer.weight, {
    groupSize: columnsPerUnit,
    damping,
  });
  try {
    return (await settle(scores, signal)) as Float64Array;
  } finally {
    scores.dispose();
  }
}
