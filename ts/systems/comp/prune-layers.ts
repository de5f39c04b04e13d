import { Random } from '../../common/random.js';
import { layerForward } from '../../models/layer-forward.js';
import { LayerFeed } from '../../models/layer-feed.js';
import { disposeLayer, type LayerWeights, namedLayerTensors } from '../../models/layer-weights.js';
import { LAYER_BLOCKS, type LayerBlock } from '../../pruning/layer-block.js';
import type { BlockMethod, BlockReport, KeepUnits, Streams } from '../../pruning/block-task.js';
import { disposeReplaced, pruneBlock, replayBlock } from '../../pruning/prune-block.js';
import { settled } from '../../tensor/settle.js';
import { meanDivergence } from './mean-divergence.js';
import { meanLoss } from './mean-loss.js';
import { embeddedChunks, type Workbench } from './workbench.js';

/** What shall stay of a layer. */
export interface LayerPlan {
  groups: KeepUnits;
  channels: KeepUnits;
}

/** What was done to a layer that stays. */
export interface LayerReport {
  /** Index in the unpruned model. */
  layer: number;
  attention: BlockReport;
  mlp: BlockReport;
  /** Whether the pruned model's stream may differ from the unpruned one's behind this layer. */
  drifted: boolean;
}

/** One pass that prunes all layers. */
export interface PrunePass {
  method: BlockMethod;
  seed: number;
  /** MLP channels go in multiples of this. */
  align: number;
  /** What shall stay of a layer; undefined drops it. Asked when the layer's turn comes. */
  plan: (layer: number, done: readonly LayerReport[]) => LayerPlan | undefined;
  /** Whether the outcome compares the predictions of both models; default false. */
  compares?: boolean;
  /** A layer that an interrupted run has finished: its weights, owned by the pass, and report. */
  finished?: (layer: number) => Promise<{ weights: LayerWeights; report: LayerReport } | undefined>;
  /** Takes a pruned layer's weights; they are freed afterwards. */
  onPruned?: (layer: LayerWeights, report: LayerReport) => Promise<void>;
}

/** What came of a pass that pruned all layers. */
export interface PruneOutcome {
  /** The pruned model's mean loss, see `meanLoss`. */
  loss: number;
  /** How far its predictions are from the unpruned model's, see `meanDivergence`; if asked for. */
  divergence?: number;
  /** What was done to each layer that stays. */
  reports: LayerReport[];
}

/**
 * Takes the two streams through all layers, pruning each on its way; one layer is in memory at a time,
 * on a GPU with the next one on its way.
 */
export async function pruneLayers(bench: Workbench, pass: PrunePass): Promise<PruneOutcome> {
  const { checkpoint, config, frequencies, chunks, signal } = bench;
  const teacher = embeddedChunks(bench);
  const student = teacher.map((x) => x.reshape(x.shape));
  const streams: Streams = { config, frequencies, chunks, teacher, student, drifted: false };
  const reports: LayerReport[] = [];
  const feed = new LayerFeed(checkpoint);
  try {
    for (const [index] of config.layers.entries()) {
      const plan = pass.plan(index, reports);
      const dense = feed.take(index);
      try {
        if (plan === undefined) await dropLayer(streams, dense, signal);
        else reports.push(await keepLayer(streams, dense, index, plan, pass, signal));
      } finally {
        disposeLayer(dense);
      }
      bench.onLayer?.('prune', index);
    }
    const loss = await meanLoss(bench, student);
    if (pass.compares !== true) return { loss, reports };
    return { loss, divergence: await meanDivergence(bench, teacher, student), reports };
  } finally {
    feed.dispose();
    for (const x of [...teacher, ...student]) x.dispose();
  }
}

async function dropLayer(
  streams: Streams,
  dense: LayerWeights,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { config, frequencies, teacher } = streams;
  for (const [i, x] of teacher.entries()) {
    const next = layerForward(config, dense, x, frequencies);
    teacher[i] = next;
    x.dispose();
    await settled(next, signal);
  }
  streams.drifted = true;
}

async function keepLayer(
  streams: Streams,
  dense: LayerWeights,
  index: number,
  plan: LayerPlan,
  pass: PrunePass,
  signal: AbortSignal | undefined,
): Promise<LayerReport> {
  const finished = await pass.finished?.(index);
  if (finished !== undefined) {
    try {
      for (const block of LAYER_BLOCKS) {
        await replayBlock({ block, streams, dense, ...withSignal(signal) }, finished.weights);
        disposePassed(block, dense, finished.weights);
      }
    } finally {
      disposeLayer(finished.weights);
    }
    streams.drifted = finished.report.drifted;
    return finished.report;
  }
  let layer = dense;
  const report: Partial<LayerReport> = { layer: index };
  try {
    for (const [b, block] of LAYER_BLOCKS.entries()) {
      const pruned: Awaited<ReturnType<typeof pruneBlock>> = await pruneBlock({
        block,
        streams,
        dense,
        layer,
        keep: block.name === 'attention' ? plan.groups : plan.channels,
        granularity: block.name === 'attention' ? 1 : pass.align,
        method: pass.method,
        // A block's random numbers do not depend on which blocks came before it in this process.
        random: new Random((pass.seed % 2 ** 32) * 2 ** 20 + index * 2 + b),
        ...withSignal(signal),
      });
      layer = pruned.layer;
      disposePassed(block, dense, layer);
      report[block.name] = pruned.report;
    }
    report.drifted = streams.drifted;
    await pass.onPruned?.(layer, report as LayerReport);
    return report as LayerReport;
  } finally {
    disposeReplaced(layer, [dense]);
  }
}

/** Lets go of a block's dense weights once both streams are through: their mapped pages count. */
function disposePassed(block: LayerBlock, dense: LayerWeights, pruned: LayerWeights): void {
  const used = new Set(namedLayerTensors(pruned).values());
  const { producers, consumer } = block.weights(dense);
  for (const { weight } of [...producers, consumer]) if (!used.has(weight)) weight.dispose();
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
