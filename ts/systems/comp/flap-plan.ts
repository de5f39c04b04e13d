import { layerForward } from '../../models/layer-forward.js';
import { LayerFeed } from '../../models/layer-feed.js';
import { disposeLayer } from '../../models/layer-weights.js';
import { ActivationMoments } from '../../pruning/activation-moments.js';
import { fluctuationScores } from '../../pruning/baseline-scores.js';
import { LAYER_BLOCKS } from '../../pruning/layer-block.js';
import { RegressionStatistics } from '../../pruning/regression-statistics.js';
import { Random } from '../../common/random.js';
import { settled } from '../../tensor/settle.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { channelParameters, groupParameters, modelParameters } from './parameter-budget.js';
import type { UnitPlan } from './unit-plan.js';
import { embeddedChunks, type Workbench } from './workbench.js';

/** A unit that the global threshold decides on. */
interface Candidate {
  layer: number;
  block: 'attention' | 'mlp';
  unit: number;
  /** Standardised over its layer's block. */
  score: number;
  parameters: number;
}

/**
 * FLAP's adaptive structure (AL-AM): fluctuation scores on the unpruned model, squared for attention
 * and averaged over a unit's columns, standardised per layer and block, and one threshold over all
 * units of the model, weighted by their parameters. Every block keeps its best unit.
 * Source: FLAP 2312.11983 and its code.
 */
export async function flapPlan(bench: Workbench, ratio: number): Promise<UnitPlan> {
  const { config } = bench;
  const candidates: Candidate[] = [];
  for (const { layer, block, scores } of await modelFluctuations(bench)) {
    const shape = config.layers[layer];
    if (shape === undefined) continue;
    const parameters =
      block === 'attention' ? groupParameters(config, shape) : channelParameters(config);
    for (const [unit, score] of standardised(scores).entries()) {
      candidates.push({ layer, block, unit, score, parameters });
    }
  }
  const removed = lowest(candidates, ratio * modelParameters(config));
  const stays = (block: Candidate['block'], layer: number, units: number) =>
    Array.from({ length: units }, (_, i) => i).filter(
      (unit) => !removed.has(key({ layer, block, unit })),
    );
  return {
    groups: config.layers.map((layer, i) => stays('attention', i, layer.numKeyValueHeads)),
    channels: config.layers.map((layer, i) => stays('mlp', i, layer.intermediateSize)),
  };
}

function lowest(candidates: readonly Candidate[], budget: number): Set<string> {
  const left = new Map<string, number>();
  for (const { layer, block } of candidates) {
    left.set(`${layer} ${block}`, (left.get(`${layer} ${block}`) ?? 0) + 1);
  }
  const removed = new Set<string>();
  let parameters = 0;
  for (const candidate of [...candidates].sort((x, y) => x.score - y.score)) {
    if (parameters >= budget) break;
    const owner = `${candidate.layer} ${candidate.block}`;
    if (left.get(owner) === 1) continue;
    left.set(owner, (left.get(owner) ?? 0) - 1);
    removed.add(key(candidate));
    parameters += candidate.parameters;
  }
  return removed;
}

function key({ layer, block, unit }: Pick<Candidate, 'layer' | 'block' | 'unit'>): string {
  return `${layer} ${block} ${unit}`;
}

function standardised(scores: Float64Array): Float64Array {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const squares = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, scores.length - 1));
  return scores.map((score) => (deviation > 0 ? (score - mean) / deviation : 0));
}

async function modelFluctuations(
  bench: Workbench,
): Promise<{ layer: number; block: 'attention' | 'mlp'; scores: Float64Array }[]> {
  const { checkpoint, config, frequencies, chunks, signal } = bench;
  const result: Awaited<ReturnType<typeof modelFluctuations>> = [];
  let stream = embeddedChunks(bench);
  const feed = new LayerFeed(checkpoint);
  try {
    for (const [i] of config.layers.entries()) {
      const layer = feed.take(i);
      const moments = { attention: new ActivationMoments(), mlp: new ActivationMoments() };
      const next: Tensor[] = [];
      for (const [c, x] of stream.entries()) {
        const heldOut = chunks[c]?.heldOut === true;
        const y = scope(() =>
          layerForward(config, layer, x, frequencies, {
            tap: (tap, tensor) => {
              if (heldOut) return;
              if (tap === 'context') moments.attention.add(flat(tensor));
              if (tap === 'activation') moments.mlp.add(flat(tensor));
            },
          }),
        );
        next.push(y);
        x.dispose();
        await settled(y, signal);
      }
      stream = next;
      for (const block of LAYER_BLOCKS) {
        const columnsPerUnit = block.columnsPerUnit(config, layer);
        const fluctuation = await fluctuationScores({
          weights: block.weights(layer),
          rowsPerUnit: block.rowsPerUnit(config, layer),
          columnsPerUnit: 1,
          moments: moments[block.name],
          statistics: new RegressionStatistics(),
          damping: 0,
          blend: 0,
          random: new Random(0),
          ...(signal === undefined ? {} : { signal }),
        });
        const squared = block.name === 'attention' ? fluctuation.map((x) => x * x) : fluctuation;
        result.push({ layer: i, block: block.name, scores: averages(squared, columnsPerUnit) });
        moments[block.name].dispose();
      }
      disposeLayer(layer);
      bench.onLayer?.('survey', i);
    }
    return result;
  } finally {
    feed.dispose();
    for (const x of stream) x.dispose();
  }
}

function averages(values: Float64Array, width: number): Float64Array {
  return Float64Array.from({ length: values.length / width }, (_, unit) => {
    const own = values.subarray(unit * width, (unit + 1) * width);
    return own.reduce((sum, value) => sum + value, 0) / width;
  });
}

function flat(x: Tensor): Tensor {
  const width = x.shape.at(-1) ?? 1;
  return x.reshape([x.size / width, width]);
}
