import { noGrad } from '../nn/no-grad.js';
import { add } from '../ops/add.js';
import { multiply } from '../ops/multiply.js';
import { relu } from '../ops/relu.js';
import { subtract } from '../ops/subtract.js';
import { sumColumns } from '../ops/sum-columns.js';
import { sumRows } from '../ops/sum-rows.js';
import { settle } from '../tensor/settle.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { sumGroups } from './sum-groups.js';

/** A weight and the gradient of the loss in it, f32 [out, in] both. */
export interface WeightGradient {
  weight: Tensor;
  gradient: Tensor;
}

/** What {@link taylorScores} scores the units of a block by. */
export interface TaylorInputs {
  producers: readonly WeightGradient[];
  consumer: WeightGradient;
  /** Rows of each producer that belong to one unit. */
  rowsPerUnit: readonly number[];
  /** Columns of the consumer that belong to one unit. */
  columnsPerUnit: number;
  signal?: AbortSignal;
}

/**
 * `taylor`: Σ |w · ∂L/∂w| over all weights that a unit owns, in the producers and the consumer; biases
 * do not count. Source: LLM-Pruner 2305.11627, element-wise importance of first order, summed over
 * the group.
 */
export async function taylorScores(inputs: TaylorInputs): Promise<Float64Array> {
  const { producers, consumer, rowsPerUnit, columnsPerUnit, signal } = inputs;
  const columns = await sums(consumer, sumRows, signal);
  const scores = sumGroups(columns, columnsPerUnit);
  for (const [i, producer] of producers.entries()) {
    const rows = sumGroups(await sums(producer, sumColumns, signal), rowsPerUnit[i] as number);
    for (let unit = 0; unit < scores.length; unit++) {
      scores[unit] = (scores[unit] as number) + (rows[unit] as number);
    }
  }
  return scores;
}

/** Σ |w · ∂L/∂w| along one dimension of a weight. */
async function sums(
  { weight, gradient }: WeightGradient,
  sum: (x: Tensor) => Tensor,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const total = noGrad(() =>
    scope(() => {
      const change = multiply(weight, gradient);
      const positive = relu(change);
      // |x| = 2 max(x, 0) − x, exactly.
      return sum(subtract(add(positive, positive), change));
    }),
  );
  try {
    return (await settle(total, signal)) as Float64Array;
  } finally {
    total.dispose();
  }
}
