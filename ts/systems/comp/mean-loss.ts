import { headLoss } from '../../models/decoder-head.js';
import { sumColumns } from '../../ops/sum-columns.js';
import { settleNumber } from '../../tensor/settle.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type Workbench, withOuter } from './workbench.js';

/**
 * Mean negative log-likelihood in nats per predicted token over the held-out chunks, or over all when
 * none is held out.
 * @param stream the residual stream leaving the last layer, by chunk
 */
export async function meanLoss(bench: Workbench, stream: readonly Tensor[]): Promise<number> {
  const { config, chunks, signal } = bench;
  const judged = chunks.some(({ heldOut }) => heldOut);
  let total = 0;
  let predictions = 0;
  await withOuter(bench, async (outer) => {
    for (const [i, chunk] of chunks.entries()) {
      if (judged && !chunk.heldOut) continue;
      const sum = scope(() => {
        const losses = headLoss(config, outer, stream[i] as Tensor, chunk.targets);
        return sumColumns(losses.reshape([1, losses.size]));
      });
      total += await settleNumber(sum, signal);
      sum.dispose();
      predictions += chunk.targets.size - chunk.windows;
    }
  });
  return total / predictions;
}
