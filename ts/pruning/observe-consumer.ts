import type { LayerWeights } from '../models/layer-weights.js';
import { applyLinear } from '../models/apply-linear.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { scale } from '../ops/scale.js';
import { subtract } from '../ops/subtract.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { ActivationMoments } from './activation-moments.js';
import type { BlockTask, Streams } from './block-task.js';
import type { CalibrationChunk } from './calibration-chunks.js';
import { flatRows, withoutBias } from './flat-rows.js';
import type { LayerBlock } from './layer-block.js';
import { RegressionStatistics } from './regression-statistics.js';
import { needsGram, needsMoments } from './score-metrics.js';
import { settled } from '../tensor/settle.js';
import { streamFactors } from './stream-factors.js';

/** The student's inputs of the consumer and, with `targets`, what the consumer shall give. */
export async function observeConsumer(
  task: BlockTask,
  layer: LayerWeights,
  targets: boolean,
): Promise<{ statistics: RegressionStatistics; moments: ActivationMoments | undefined }> {
  const { method } = task;
  const statistics = new RegressionStatistics();
  const wantsGram = needsGram(method.metric) || method.recover !== 'none';
  const wantsMoments = needsMoments(method.metric) || method.compensateBias;
  const moments = wantsMoments ? new ActivationMoments() : undefined;
  await eachConsumerInput(task, layer, wantsGram, (chunk, inputs, weigh, wanted) => {
    if (!chunk.heldOut) moments?.add(inputs);
    if (!wantsGram) return;
    if (targets) statistics.add(weigh(inputs), [weigh(wanted())], chunk.heldOut);
    else if (!chunk.heldOut) statistics.add(weigh(inputs), [], false);
  });
  return { statistics, moments };
}

/** Adds what the consumer shall give to the statistics of its inputs. */
export async function observeTargets(
  task: BlockTask,
  layer: LayerWeights,
  statistics: RegressionStatistics,
): Promise<void> {
  await eachConsumerInput(task, layer, true, (chunk, inputs, weigh, wanted) => {
    statistics.addTargets(weigh(inputs), [weigh(wanted())], chunk.heldOut);
  });
}

/** Computes the consumer's inputs chunk by chunk; what `visit` makes is freed unless it is kept. */
async function eachConsumerInput(
  { block, streams, method, signal }: BlockTask,
  layer: LayerWeights,
  weighs: boolean,
  visit: (
    chunk: CalibrationChunk,
    inputs: Tensor,
    weigh: (x: Tensor) => Tensor,
    wanted: () => Tensor,
  ) => void,
): Promise<void> {
  const { config, chunks, teacher, student } = streams;
  const { consumer } = block.weights(layer);
  for (const [i, chunk] of chunks.entries()) {
    const [target, x] = [teacher[i] as Tensor, student[i] as Tensor];
    const factors =
      weighs && method.weighPositions
        ? await streamFactors(target, config.rmsNormEps, signal)
        : undefined;
    const done = scope(() => {
      const inputs = flatRows(consumerInputs(block, streams, layer, x));
      const weigh = (y: Tensor) =>
        factors === undefined ? y : scale(y, factors, { axis: 'rows' });
      visit(chunk, inputs, weigh, () => withoutBias(flatRows(subtract(target, x)), consumer.bias));
      return inputs.slice(0, 1);
    });
    factors?.dispose();
    await settled(done, signal);
    done.dispose();
  }
}

/** The input of a block's consumer [batch, sequence, …] for a residual stream entering the block. */
export function consumerInputs(
  block: LayerBlock,
  { config, frequencies }: Streams,
  layer: LayerWeights,
  x: Tensor,
): Tensor {
  const normed = rmsNorm(x, block.norm(layer), config.rmsNormEps);
  const outputs = block.weights(layer).producers.map((producer) => applyLinear(producer, normed));
  return block.combine(config, layer, outputs, frequencies);
}
