import { attention } from '../../ops/attention.js';
import { cast } from '../../ops/cast.js';
import { crossEntropy } from '../../ops/cross-entropy.js';
import { embedding } from '../../ops/embedding.js';
import { multiply } from '../../ops/multiply.js';
import { rmsNorm } from '../../ops/rms-norm.js';
import { subtract } from '../../ops/subtract.js';
import { sumColumns } from '../../ops/sum-columns.js';
import { settleNumber } from '../../tensor/settle.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type Workbench, withOuter } from './workbench.js';

/**
 * Mean Kullback-Leibler divergence, in nats per position, of the next-token distributions of the
 * pruned model from those of the unpruned one, over the held-out chunks, or all when none is held
 * out. Unlike the loss it says how far the model is changed even on text that it never was good at.
 *
 * With z = E h the logits and p the teacher's probabilities, the cross entropy is
 * log Σ exp(z^S) − h^S · Σ_v p_v E_v; the sum over the vocabulary is attention over the rows of E,
 * and the first term comes out of the loss of any target: no logits are held.
 * @param teacher residual streams leaving the last layer, by chunk
 * @param student the same of the pruned model
 */
export async function meanDivergence(
  bench: Workbench,
  teacher: readonly Tensor[],
  student: readonly Tensor[],
): Promise<number> {
  const { config, chunks, signal } = bench;
  const judged = chunks.some(({ heldOut }) => heldOut);
  const { vocabSize, hiddenSize, rmsNormEps } = config;
  let total = 0;
  let positions = 0;
  await withOuter(bench, async (outer) => {
    for (const [i, chunk] of chunks.entries()) {
      if (judged && !chunk.heldOut) continue;
      const difference = scope(() => {
        const head = outer.head.dtype === 'f32' ? outer.head : cast(outer.head, 'f32');
        const rows = chunk.ids.size;
        const final = (stream: Tensor) =>
          rmsNorm(stream, outer.finalNorm, rmsNormEps).reshape([rows, hiddenSize]);
        const [t, s] = [final(teacher[i] as Tensor), final(student[i] as Tensor)];
        const table = head.reshape([1, vocabSize, 1, hiddenSize]);
        const expected = attention(t.reshape([1, rows, 1, hiddenSize]), table, table, {
          causal: false,
          scale: 1,
        }).reshape([rows, hiddenSize]);
        const targets = chunk.ids.reshape([rows]);
        const offset = subtract(embedding(targets, head), expected);
        const crossOf = (hidden: Tensor) => {
          const losses = crossEntropy(hidden, head, targets);
          return [
            sumColumns(losses.reshape([1, rows])),
            sumColumns(multiply(hidden, offset).reshape([1, rows * hiddenSize])),
          ] as const;
        };
        return [...crossOf(s), ...crossOf(t)];
      });
      const [lossS, shiftS, lossT, shiftT] = await Promise.all(
        difference.map((sum) => settleNumber(sum, signal)),
      );
      for (const sum of difference) sum.dispose();
      total += (lossS as number) + (shiftS as number) - (lossT as number) - (shiftT as number);
      positions += chunk.ids.size;
    }
  });
  return total / positions;
}
