import type { LinearWeights } from '../models/layer-weights.js';
import type { ActivationMoments } from './activation-moments.js';
import type { BlockReport, BlockTask } from './block-task.js';
import { refitWeights } from './damped-refit.js';
import { foldMask, tuneMask } from './mask-tuning.js';
import { meanBias } from './mean-bias.js';
import type { Selection } from './select-units.js';

/** The consumer for the kept columns, made up for what was removed. */
export async function recoverConsumer(
  { block, dense, method, signal }: BlockTask,
  consumer: LinearWeights,
  { kept, consumer: weight, statistics }: Selection,
  moments: ActivationMoments | undefined,
  report: BlockReport,
): Promise<LinearWeights> {
  const result: LinearWeights = { ...consumer, weight };
  if (method.recover === 'mask') {
    const options = { damping: method.maskDamping, limit: method.maskLimit };
    const mask = await tuneMask(
      weight,
      statistics,
      signal === undefined ? options : { ...options, signal },
    );
    if (mask !== undefined) report.maskVariance = mask.variance;
    const folded = mask && (await foldMask(weight, statistics, mask, signal));
    report.consumerErrorRatio = folded?.errorRatio ?? 1;
    if (folded !== undefined) result.weight = folded.weight;
  } else if (method.recover !== 'none') {
    const { dampings, useHeldOut } = method;
    const [refit] = await refitWeights([weight], statistics, {
      dampings,
      useHeldOut,
      ...(signal === undefined ? {} : { signal }),
    });
    report.consumerErrorRatio = refit?.errorRatio ?? 1;
    if (refit?.damping !== undefined) report.consumerDamping = refit.damping;
    if (refit?.weight !== undefined) result.weight = refit.weight;
  }
  if (result.weight !== weight && weight !== consumer.weight) weight.dispose();
  if (method.compensateBias && moments !== undefined) {
    const columns = (consumer.weight.shape[1] ?? 0) / block.units(dense);
    result.bias = await meanBias(consumer, kept, columns, moments, signal);
  }
  return result;
}
