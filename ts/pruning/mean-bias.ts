import type { LinearWeights } from '../models/layer-weights.js';
import { add } from '../ops/add.js';
import { cast } from '../ops/cast.js';
import { gatherColumns } from '../ops/gather-columns.js';
import { linear } from '../ops/linear.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { ActivationMoments } from './activation-moments.js';
import { unitIndices } from './unit-indices.js';

/**
 * The bias that stands for what removed columns gave on average: b + W[:, removed] · mean(x_removed).
 * Source: FLAP 2312.11983.
 * @param consumer weight [out, in] with all columns
 * @param kept ascending units that stay, of `columnsPerUnit` columns each
 * @returns [out] in the dtype of the weight
 */
export async function meanBias(
  { weight, bias }: LinearWeights,
  kept: readonly number[],
  columnsPerUnit: number,
  moments: ActivationMoments,
  signal?: AbortSignal,
): Promise<Tensor> {
  const [outputs = 0, columns = 0] = weight.shape;
  const { mean } = await moments.read(signal);
  const stays = new Set(unitIndices(kept, columnsPerUnit));
  const removed = Array.from({ length: columns }, (_, j) => j).filter((j) => !stays.has(j));
  return scope(() => {
    if (removed.length === 0) return keep(Tensor.zeros([outputs], weight.dtype, weight.device));
    const means = Tensor.from(
      Float32Array.from(removed, (j) => mean[j] as number),
      [1, removed.length],
      { device: weight.device },
    );
    const given = linear(means, gatherColumns(weight, removed)).reshape([outputs]);
    const sum = bias === undefined ? given : add(given, cast(bias, 'f32'));
    return keep(sum.dtype === weight.dtype ? sum : cast(sum, weight.dtype));
  });
}
