import { applyLinear } from '../models/apply-linear.js';
import { type LayerWeights, namedLayerTensors } from '../models/layer-weights.js';
import { add } from '../ops/add.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { ActivationMoments } from './activation-moments.js';
import type { BlockReport, BlockTask } from './block-task.js';
import { refitWeights } from './damped-refit.js';
import { flatRows, withoutBias } from './flat-rows.js';
import { consumerInputs, observeConsumer, observeTargets } from './observe-consumer.js';
import { recoverConsumer } from './recover-consumer.js';
import { RegressionStatistics } from './regression-statistics.js';
import { needsGram } from './score-metrics.js';
import { narrow, type Selection, selectUnits } from './select-units.js';
import { settled } from '../tensor/settle.js';
import { sliceBlock } from './slice-block.js';
import { unitScores } from './unit-scores.js';

/**
 * Prunes one block of a layer and takes both streams through it: the teacher through the dense block,
 * the student through the pruned one. With `refit` the producers are first re-solved so that on the
 * student's inputs they give the teacher's pre-activations; then the units are chosen, and the
 * consumer is recovered towards the teacher's stream minus the student's.
 * @returns the layer with the pruned block
 */
export async function pruneBlock(
  task: BlockTask,
): Promise<{ layer: LayerWeights; report: BlockReport }> {
  const { block, streams, layer, method } = task;
  const units = block.units(layer);
  const target = typeof task.keep === 'number' ? task.keep : task.keep.length;
  const report: BlockReport = { units, kept: units };
  const refits = method.recover === 'refit' && streams.drifted;
  const wanted = refits ? new RegressionStatistics() : undefined;
  await advanceTeacher(task, layer, wanted);
  const refitted = await refitProducers(task, wanted, report);
  if (target === units && (!streams.drifted || method.recover === 'none')) {
    await advanceStudent(task, refitted);
    return { layer: refitted, report };
  }
  disposeProducers(task, refitted);
  const late = observesLate(task, refitted);
  const { statistics, moments } = await observeConsumer(task, refitted, !late);
  let selection: Selection | undefined;
  try {
    selection = await choose(task, refitted, statistics, moments, target);
    report.kept = selection.kept.length;
    if (selection.maskVariance !== undefined) report.maskVariance = selection.maskVariance;
    const { consumer: whole } = block.weights(refitted);
    const bare = sliceBlock(streams.config, block, refitted, selection.kept, {
      ...whole,
      weight: selection.consumer,
    });
    disposeReplaced(refitted, [bare, task.dense]);
    disposeProducers(task, bare);
    if (selection.consumer !== whole.weight && !method.compensateBias) whole.weight.dispose();
    if (late) await observeTargets(task, bare, selection.statistics);
    const consumer = await recoverConsumer(task, whole, selection, moments, report);
    const { producers } = block.weights(bare);
    const pruned = block.replace(bare, { producers, consumer }, selection.kept.length);
    streams.drifted = true;
    await advanceStudent(task, pruned);
    return { layer: pruned, report };
  } finally {
    (selection?.statistics ?? statistics).dispose();
    moments?.dispose();
  }
}

/**
 * Whether the wanted outputs are looked at only after the units are chosen: that takes another pass,
 * but the largest Gram matrix and its factor then have the memory to themselves.
 */
function observesLate({ block, method }: BlockTask, layer: LayerWeights): boolean {
  const inputs = block.weights(layer).consumer.weight.shape[1] ?? 0;
  return (
    inputs > method.maxWidthAtOnce &&
    method.recover !== 'none' &&
    method.maxMaskVariance === undefined
  );
}

/** Lets go of the dense producers once the teacher has passed and others stand in for them. */
function disposeProducers({ block, dense }: BlockTask, layer: LayerWeights): void {
  const used = new Set(block.weights(layer).producers.map(({ weight }) => weight));
  for (const { weight } of block.weights(dense).producers) if (!used.has(weight)) weight.dispose();
}

/**
 * Takes both streams through a block that is pruned already, bit for bit as {@link pruneBlock} does
 * after pruning it.
 */
export async function replayBlock(
  task: Pick<BlockTask, 'block' | 'streams' | 'dense' | 'signal'>,
  pruned: LayerWeights,
): Promise<void> {
  await advanceTeacher(task, pruned, undefined);
  task.streams.drifted = true;
  await advanceStudent(task, pruned);
}

/** Takes the teacher through the block; `statistics` collects what its producers gave. */
async function advanceTeacher(
  { block, streams, dense, signal }: Pick<BlockTask, 'block' | 'streams' | 'dense' | 'signal'>,
  layer: LayerWeights,
  statistics: RegressionStatistics | undefined,
): Promise<void> {
  const { config, frequencies, chunks, teacher, student } = streams;
  const { producers, consumer } = block.weights(dense);
  for (const [i, chunk] of chunks.entries()) {
    const x = teacher[i] as Tensor;
    teacher[i] = scope(() => {
      const normed = rmsNorm(x, block.norm(dense), config.rmsNormEps);
      const outputs = producers.map((producer) => applyLinear(producer, normed));
      if (statistics !== undefined) {
        const inputs = flatRows(
          rmsNorm(student[i] as Tensor, block.norm(layer), config.rmsNormEps),
        );
        const targets = outputs.map((output, j) =>
          withoutBias(flatRows(output), producers[j]?.bias),
        );
        statistics.add(inputs, targets, chunk.heldOut);
      }
      return keep(
        add(x, applyLinear(consumer, block.combine(config, dense, outputs, frequencies))),
      );
    });
    x.dispose();
    await settled(teacher[i] as Tensor, signal);
  }
}

async function refitProducers(
  { block, streams, layer, method, signal }: BlockTask,
  statistics: RegressionStatistics | undefined,
  report: BlockReport,
): Promise<LayerWeights> {
  if (statistics === undefined) return layer;
  try {
    const { producers, consumer } = block.weights(layer);
    const { dampings, useHeldOut } = method;
    const weights = producers.map(({ weight }) => weight);
    const options = { dampings, useHeldOut, ...(signal === undefined ? {} : { signal }) };
    const refits = await refitWeights(weights, statistics, options);
    report.producerDampings = refits.map(({ damping }) => damping);
    const solved = producers.map((producer, i) => {
      const weight = refits[i]?.weight;
      return weight === undefined ? producer : { ...producer, weight };
    });
    streams.drifted = true;
    return block.replace(layer, { producers: solved, consumer }, block.units(layer));
  } finally {
    statistics.dispose();
  }
}

async function choose(
  { block, streams, method, keep: wanted, granularity, random, signal }: BlockTask,
  layer: LayerWeights,
  statistics: RegressionStatistics,
  moments: ActivationMoments | undefined,
  target: number,
): Promise<Selection> {
  const { producers, consumer } = block.weights(layer);
  const columnsPerUnit = block.columnsPerUnit(streams.config, layer);
  const units = block.units(layer);
  const whole: Selection = {
    kept: Array.from({ length: units }, (_, i) => i),
    consumer: consumer.weight,
    statistics,
  };
  if (typeof wanted !== 'number') {
    const selection = narrow(whole, wanted, columnsPerUnit, consumer.weight, true);
    statistics.dispose();
    return selection;
  }
  const rowsPerUnit = block.rowsPerUnit(streams.config, layer);
  const guard = method.maxMaskVariance;
  // Scores that the removal of others leaves as they are need no second look.
  const rescores = needsGram(method.metric) && units * columnsPerUnit <= method.maxRescoredWidth;
  const mask = { damping: method.maskDamping, limit: method.maskLimit };
  return selectUnits(consumer.weight, statistics, {
    columnsPerUnit,
    target,
    increment: rescores ? units * method.increment : units,
    granularity,
    ...(guard === undefined ? {} : { maxMaskVariance: guard }),
    mask: signal === undefined ? mask : { ...mask, signal },
    score: (left) =>
      unitScores(method.metric, {
        weights: {
          producers,
          consumer: { weight: left.consumer },
        },
        rowsPerUnit,
        columnsPerUnit,
        statistics: left.statistics,
        ...(moments === undefined ? {} : { moments }),
        damping: method.scoreDamping,
        blend: method.blend,
        random,
        ...(signal === undefined ? {} : { signal }),
      }),
  });
}

/** Takes the student through the block. */
async function advanceStudent(
  { block, streams, signal }: Pick<BlockTask, 'block' | 'streams' | 'signal'>,
  layer: LayerWeights,
): Promise<void> {
  const { teacher, student, drifted } = streams;
  const { consumer } = block.weights(layer);
  for (const [i, x] of student.entries()) {
    student[i] = scope(() => {
      // Sharing the teacher's stream is exact, and cheaper than computing it again.
      if (!drifted) return keep(share(teacher[i] as Tensor));
      return keep(add(x, applyLinear(consumer, consumerInputs(block, streams, layer, x))));
    });
    x.dispose();
    await settled(student[i] as Tensor, signal);
  }
}

/** Frees the tensors of a layer that none of the others has. */
export function disposeReplaced(old: LayerWeights, others: readonly LayerWeights[]): void {
  const used = new Set(others.flatMap((layer) => [...namedLayerTensors(layer).values()]));
  for (const tensor of namedLayerTensors(old).values()) if (!used.has(tensor)) tensor.dispose();
}

function share(tensor: Tensor): Tensor {
  return tensor.reshape(tensor.shape);
}
