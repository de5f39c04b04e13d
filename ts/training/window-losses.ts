import { throwIfAborted } from '../common/abort.js';
import type { ProgressEvent } from '../common/events.js';
import { type TextWindows, windowIds } from '../data/text-windows.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { headLoss, nextTokenTargets } from '../models/decoder-head.js';
import { layerContext } from '../models/forward-context.js';
import { layerForward } from '../models/layer-forward.js';
import {
  disposeLayer,
  layerLinears,
  type LayerWeights,
  loadLayer,
} from '../models/layer-weights.js';
import { disposeOuter, loadOuter, type OuterWeights } from '../models/outer-weights.js';
import { layerParameters } from '../models/parameter-counts.js';
import { ropeTensor } from '../models/rope-tensor.js';
import type { AdapterSet } from '../nn/adapter-set.js';
import { embedding } from '../ops/embedding.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { EvaluationPlan } from './evaluation-plan.js';
import { Pacer } from './pacer.js';

/** What one run over the windows works with. */
interface Run {
  checkpoint: Checkpoint;
  windows: TextWindows;
  plan: EvaluationPlan;
  outer: OuterWeights;
  /** All layers when they stay loaded. */
  layers: readonly LayerWeights[] | undefined;
  frequencies: Tensor;
  adapter: AdapterSet | undefined;
  pacer: Pacer;
}

/** What {@link windowLosses} finds. */
export interface WindowLosses {
  /** The mean negative log-likelihood, in nats, of each window's counted predictions. */
  means: Float64Array;
  /** Time it took, without loading weights that stay loaded. */
  seconds: number;
}

/**
 * Takes the windows through the model.
 * @param options `adapter` is put in force
 * @throws EspalierError `ABORTED`, `OUT_OF_MEMORY`, and `FORMAT` when the weights can't be read.
 */
export async function windowLosses(
  checkpoint: Checkpoint,
  windows: TextWindows,
  plan: EvaluationPlan,
  {
    adapter,
    signal,
    onProgress,
  }: {
    adapter?: AdapterSet | undefined;
    signal?: AbortSignal | undefined;
    onProgress?: ((event: ProgressEvent) => void) | undefined;
  } = {},
): Promise<WindowLosses> {
  const { config } = checkpoint;
  const outer = loadOuter(checkpoint, plan.load);
  const layers: LayerWeights[] = [];
  const frequencies = ropeTensor(config, checkpoint.device);
  const run: Run = {
    checkpoint,
    windows,
    plan,
    outer,
    layers: plan.resident ? layers : undefined,
    frequencies,
    adapter,
    pacer: new Pacer(signal),
  };
  const means = new Float64Array(windows.count);
  const report = (completed: number) =>
    onProgress?.({ phase: 'evaluate', completed, total: windows.count, unit: 'windows' });
  let pending: Promise<number> | undefined;
  try {
    report(0);
    await run.pacer.settle(frequencies);
    for (let i = 0; plan.resident && i < config.layers.length; i++) {
      throwIfAborted(signal, 'evaluate');
      layers.push(loadLayer(checkpoint, i, plan.load));
      await run.pacer.settle(frequencies);
    }
    const start = performance.now();
    for (let first = 0; first < windows.count; first += plan.chunk) {
      throwIfAborted(signal, 'evaluate');
      const last = Math.min(first + plan.chunk, windows.count);
      const losses = await chunkLosses(run, first, last);
      // Read one chunk later: the device never waits for JavaScript.
      const reading = readMeans(losses, windows, first, means).then(() => last);
      reading.catch(() => undefined);
      if (pending !== undefined) report(await pending);
      pending = reading;
    }
    if (pending !== undefined) report(await pending);
    return { means, seconds: (performance.now() - start) / 1000 };
  } finally {
    frequencies.dispose();
    disposeOuter(outer);
    for (const layer of layers) disposeLayer(layer);
  }
}

/** Takes windows `[first, last)` through all layers, batch by batch inside each layer. */
async function chunkLosses(run: Run, first: number, last: number): Promise<Tensor[]> {
  const { checkpoint, windows, plan, outer, frequencies, pacer } = run;
  const { config } = checkpoint;
  const { window } = windows;
  const batches: Int32Array[] = [];
  for (let i = first; i < last; i += plan.batch) {
    batches.push(windowIds(windows, i, Math.min(i + plan.batch, last)));
  }
  const streams = batches.map((ids) =>
    scope(() =>
      embedding(
        Tensor.from(ids, [ids.length / window, window], { device: checkpoint.device }),
        outer.embedding,
      ),
    ),
  );
  try {
    for (const [i, shape] of config.layers.entries()) {
      const layer = run.layers?.[i] ?? loadLayer(checkpoint, i, plan.load);
      const work = layerParameters(config, shape).total / config.hiddenSize;
      const context = layerContext(layerLinears(layer, i), run.adapter);
      try {
        for (const [b, x] of streams.entries()) {
          const next = layerForward(config, layer, x, frequencies, { context });
          streams[b] = next;
          x.dispose();
          await pacer.queued(next, work * next.size);
        }
        // Without this, a large model's layers would pile up in the queue, all of them mapped.
        if (run.layers === undefined) await pacer.settle(streams.at(-1) as Tensor);
      } finally {
        if (run.layers === undefined) disposeLayer(layer);
      }
    }
    return streams.map((x, b) =>
      scope(() => {
        const targets = targetsOf(batches[b] as Int32Array, windows, first + b * plan.batch);
        const { device } = checkpoint;
        return headLoss(config, outer, x, Tensor.from(targets, [targets.length], { device }));
      }),
    );
  } finally {
    for (const x of streams) x.dispose();
  }
}

/** The first window counts all its predictions, a later one those of its new tokens. */
function targetsOf(ids: Int32Array, { window, stride }: TextWindows, first: number): Int32Array {
  const targets = nextTokenTargets(ids, window, Math.min(stride, window - 1));
  if (first === 0) targets.set(nextTokenTargets(ids.subarray(0, window), window));
  return targets;
}

async function readMeans(
  losses: readonly Tensor[],
  { window, stride }: TextWindows,
  first: number,
  means: Float64Array,
): Promise<void> {
  let index = first;
  for (const tensor of losses) {
    const values = (await tensor.read()) as Float32Array;
    tensor.dispose();
    for (let start = 0; start < values.length; start += window) {
      let sum = 0;
      for (let i = start; i < start + window; i++) sum += values[i] as number;
      means[index] = sum / (index === 0 ? window - 1 : Math.min(stride, window - 1));
      index++;
    }
  }
}
