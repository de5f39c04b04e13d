import type { Random } from '../common/random.js';
import type { ModelConfig } from '../formats/model-config.js';
import { applyLinear } from '../models/apply-linear.js';
import {
  type LayerWeights,
  type LinearWeights,
  namedLayerTensors,
} from '../models/layer-weights.js';
import { add } from '../ops/add.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { scale } from '../ops/scale.js';
import { subtract } from '../ops/subtract.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { ActivationMoments } from './activation-moments.js';
import { meanBias } from './mean-bias.js';
import { broadcastBias } from './broadcast-bias.js';
import type { CalibrationChunk } from './calibration-chunks.js';
import { refitWeights } from './damped-refit.js';
import type { LayerBlock } from './layer-block.js';
import { foldMask, tuneMask } from './mask-tuning.js';
import { RegressionStatistics } from './regression-statistics.js';
import { needsGram, needsMoments, type ScoreMetric } from './score-metrics.js';
import { narrow, type Selection, selectUnits } from './select-units.js';
import { settled } from './settle.js';
import { sliceBlock } from './slice-block.js';
import { streamFactors } from './stream-factors.js';
import { unitScores } from './unit-scores.js';

/** How the kept weights make up for the removed ones. */
export type Recovery = 'refit' | 'lstsq' | 'mask' | 'none';

/** How a block is pruned; the defaults stand with the options of `prune`. */
export interface BlockMethod {
  metric: ScoreMetric;
  recover: Recovery;
  /** Choices of λ for least squares, in units of the mean diagonal. */
  dampings: readonly number[];
  /** λ of scores, in units of the mean diagonal. */
  scoreDamping: number;
  /** γ of `blend`. */
  blend: number;
  /** λ of mask tuning, in units of the mean diagonal. */
  maskDamping: number;
  /** A mask with larger values is rejected. */
  maskLimit: number;
  /** Share of the units that is removed between two scorings. */
  increment: number;
  /** A consumer with more inputs is scored once, whatever the increment. */
  maxRescoredWidth: number;
  /** Stop a block before the variance of its tuned mask exceeds this. */
  maxMaskVariance?: number;
  /** Weigh every position by 1 / rms of the teacher's stream, as the next norm does. */
  weighPositions: boolean;
  /** Solve accepted weights once more with the held-out windows. */
  useHeldOut: boolean;
  /** Give the consumer a bias that stands for the mean of what was removed. */
  compensateBias: boolean;
}

/** The residual streams of the unpruned model and of the pruned one, chunk by chunk. */
export interface Streams {
  config: ModelConfig;
  frequencies: Tensor;
  chunks: readonly CalibrationChunk[];
  /** f32 [windows, window, hidden] each. */
  teacher: Tensor[];
  student: Tensor[];
  /** Whether the student may differ from the teacher. */
  drifted: boolean;
}

/** What shall stay of a block: so many units, or these. */
export type KeepUnits = number | readonly number[];

/** What was done to a block. */
export interface BlockReport {
  units: number;
  kept: number;
  /** Variance of the tuned mask, where it was tuned. */
  maskVariance?: number;
  /** Squared error on held-out rows after ÷ before re-solving the consumer. */
  consumerErrorRatio?: number;
  /** λ chosen for the consumer, and for the producers. */
  consumerDamping?: number;
  producerDampings?: (number | undefined)[];
}

/** Everything that {@link pruneBlock} works with. */
export interface BlockTask {
  block: LayerBlock;
  streams: Streams;
  /** The unpruned layer. */
  dense: LayerWeights;
  /** The layer as far as it is pruned; it may share tensors with the dense one. */
  layer: LayerWeights;
  keep: KeepUnits;
  /** A block that stops early stops at a multiple of this many removed units. */
  granularity: number;
  method: BlockMethod;
  random: Random;
  signal?: AbortSignal;
}

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
  const { statistics, moments } = await observeConsumer(task, refitted);
  let selection: Selection | undefined;
  try {
    selection = await choose(task, refitted, statistics, moments, target);
    report.kept = selection.kept.length;
    if (selection.maskVariance !== undefined) report.maskVariance = selection.maskVariance;
    const consumer = await recover(task, refitted, selection, moments, report);
    const pruned = sliceBlock(streams.config, block, refitted, selection.kept, consumer);
    disposeReplaced(refitted, [pruned, task.dense]);
    streams.drifted = true;
    await advanceStudent(task, pruned);
    return { layer: pruned, report };
  } finally {
    (selection?.statistics ?? statistics).dispose();
    moments?.dispose();
  }
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
        const inputs = rows(rmsNorm(student[i] as Tensor, block.norm(layer), config.rmsNormEps));
        const targets = outputs.map((output, j) => withoutBias(rows(output), producers[j]?.bias));
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

/** The student's inputs of the consumer, and what the consumer shall give. */
async function observeConsumer(
  { block, streams, method, signal }: BlockTask,
  layer: LayerWeights,
): Promise<{ statistics: RegressionStatistics; moments: ActivationMoments | undefined }> {
  const { config, chunks, teacher, student } = streams;
  const statistics = new RegressionStatistics();
  const wantsGram = needsGram(method.metric) || method.recover !== 'none';
  const wantsMoments = needsMoments(method.metric) || method.compensateBias;
  const moments = wantsMoments ? new ActivationMoments() : undefined;
  const { consumer } = block.weights(layer);
  for (const [i, chunk] of chunks.entries()) {
    const target = teacher[i] as Tensor;
    const weighs = wantsGram && method.weighPositions;
    const factors = weighs ? await streamFactors(target, config.rmsNormEps, signal) : undefined;
    scope(() => {
      const inputs = rows(consumerInputs(block, streams, layer, student[i] as Tensor));
      if (!chunk.heldOut) moments?.add(inputs);
      if (!wantsGram) return;
      const wanted = withoutBias(rows(subtract(target, student[i] as Tensor)), consumer.bias);
      const weigh = (x: Tensor) =>
        factors === undefined ? x : scale(x, factors, { axis: 'rows' });
      statistics.add(weigh(inputs), [weigh(wanted)], chunk.heldOut);
    });
    factors?.dispose();
    if (statistics.gram !== undefined) await settled(statistics.gram, signal);
  }
  return { statistics, moments };
}

function consumerInputs(
  block: LayerBlock,
  { config, frequencies }: Streams,
  layer: LayerWeights,
  x: Tensor,
): Tensor {
  const normed = rmsNorm(x, block.norm(layer), config.rmsNormEps);
  const outputs = block.weights(layer).producers.map((producer) => applyLinear(producer, normed));
  return block.combine(config, layer, outputs, frequencies);
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
    const selection = narrow(whole, wanted, columnsPerUnit, consumer.weight);
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

/** The consumer for the kept columns, made up for what was removed. */
async function recover(
  { block, method, signal }: BlockTask,
  layer: LayerWeights,
  { kept, consumer: weight, statistics }: Selection,
  moments: ActivationMoments | undefined,
  report: BlockReport,
): Promise<LinearWeights> {
  const { consumer } = block.weights(layer);
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
    const columns = (consumer.weight.shape[1] ?? 0) / block.units(layer);
    result.bias = await meanBias(consumer, kept, columns, moments, signal);
  }
  return result;
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

/** [batch, sequence, width] as [rows, width]. */
function rows(x: Tensor): Tensor {
  const width = x.shape.at(-1) ?? 0;
  return x.reshape([width === 0 ? 0 : x.size / width, width]);
}

function withoutBias(x: Tensor, bias: Tensor | undefined): Tensor {
  return bias === undefined ? x : subtract(x, broadcastBias(bias, x.shape[0] ?? 0));
}

function share(tensor: Tensor): Tensor {
  return tensor.reshape(tensor.shape);
}
