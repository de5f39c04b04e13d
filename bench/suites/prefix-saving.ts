import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { createAdapterSet } from '../../ts/models/create-adapter-set.js';
import type { Decoder } from '../../ts/models/decoder.js';
import { loadModel } from '../../ts/models/load-model.js';
import { PrefixCache } from '../../ts/models/prefix-cache.js';
import type { TokenBatch } from '../../ts/models/token-batch.js';
import { native } from '../../ts/native/addon.js';
import { AdamW } from '../../ts/nn/adamw.js';
import { Trainer } from '../../ts/training/trainer.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { withDirectory } from '../data.js';
import { type DepthTime, fitSteps, stepSeconds } from '../fit-steps.js';
import {
  check,
  checkClose,
  finish,
  formatFigure,
  formatSeconds,
  interleave,
  ratio,
  type Suite,
  type SuiteContext,
  type Timing,
} from '../harness.js';
import { inputOptions, modelDirectory } from '../inputs.js';
import { writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';

/** Room for every sample of a batch. */
const CACHE_BYTES = 2 ** 30;

/** One model with adapters on its last layers that takes training steps. */
interface Side {
  step(): Promise<{ loss: number; gradNorm: number }>;
  /** Most native memory that tensors took during a step, above what they took before the model. */
  peak(): Promise<number>;
  dispose(): void;
}

/** Adapters on the last `depth` layers of a model that others use too. */
function openSide(model: Decoder, depth: number, batch: TokenBatch, cache?: PrefixCache): Side {
  const { length } = model.layers;
  const ends = new Set([...model.linears.keys()].map((path) => path.split('.').at(-1) as string));
  const config = makeAdapterConfig({
    r: 8,
    loraAlpha: 16,
    targetModules: [...ends],
    layersToTransform: Array.from({ length: depth }, (_, i) => length - depth + i),
  });
  const set = createAdapterSet(model, config, 1);
  model.adapter = set;
  const optimizer = new AdamW(model.trainableParameters(), { weightDecay: 0 });
  const trainer = new Trainer(model, { optimizer, schedule: () => 1e-4 });
  const step = () => {
    model.adapter = set;
    model.prefixCache = cache;
    return trainer.step([batch]);
  };
  return {
    step,
    async peak() {
      // What the last step let go of is freed in the order of the stream.
      finish(Tensor.zeros([1]));
      native().resetPeakMemory();
      const { inUse } = native().memory();
      await step();
      return native().memory().peak - inUse;
    },
    dispose() {
      optimizer.dispose();
      set.dispose();
    },
  };
}

/** What was measured of one depth. */
interface Row {
  depth: number;
  plain: Timing;
  kept: Timing;
  filling: Timing;
  peaks: [number, number];
  cacheBytes: number;
}

/** Checks, then times steps at one depth after the other, all in turns. */
async function measureDepths(
  model: Decoder,
  batch: TokenBatch,
  depths: readonly number[],
  timing: { rounds: number; least: number },
): Promise<Row[]> {
  const opened: { dispose(): void }[] = [];
  const sides = [];
  for (const depth of depths) {
    const cache = new PrefixCache(CACHE_BYTES);
    const plain = openSide(model, depth, batch);
    const kept = openSide(model, depth, batch, cache);
    opened.push(cache, plain, kept);
    for (let step = 0; step < 3; step++) {
      const [expected, got] = [await plain.step(), await kept.step()];
      const what = `${depth} layers, step ${step}`;
      checkClose(got.loss, expected.loss, 1e-5, `${what}: loss`);
      checkClose(got.gradNorm, expected.gradNorm, 1e-4, `${what}: norm of the gradient`);
    }
    const { hits, misses } = cache.statistics;
    const passes = depth === model.layers.length ? [0, 0] : [2 * batch.batch, batch.batch];
    check([hits, misses].join() === passes.join(), `${depth} layers: what is kept is found`);
    const peaks: [number, number] = [await plain.peak(), await kept.peak()];
    sides.push({ depth, plain, kept, cache, peaks });
  }
  const timings = await interleave(
    sides.flatMap(({ depth, plain, kept, cache }) => [
      { name: `${depth} plain`, run: () => timed(plain) },
      { name: `${depth} kept`, run: () => timed(kept) },
      {
        name: `${depth} filling`,
        run: () => {
          cache.dispose();
          return timed(kept);
        },
      },
    ]),
    timing,
  );
  const rows = sides.map(({ depth, peaks, cache }, i) => {
    const [plain, kept, filling] = timings.slice(3 * i, 3 * i + 3) as [Timing, Timing, Timing];
    return { depth, plain, kept, filling, peaks, cacheBytes: cache.statistics.bytes };
  });
  model.adapter = undefined;
  model.prefixCache = undefined;
  for (const thing of opened) thing.dispose();
  return rows;
}

async function timed(side: Side): Promise<number> {
  const start = performance.now();
  await side.step();
  return (performance.now() - start) / 1000;
}

async function measure(
  { report, quick, say }: SuiteContext,
  one: { name: string; directory: string; batch: number; sequence: number },
): Promise<void> {
  say(one.name);
  const model = await loadModel(one.directory);
  const layers = model.layers.length;
  const random = new Random(7);
  const { vocabSize } = model.config;
  const inputIds = Int32Array.from(
    { length: one.batch * one.sequence },
    () => 3 + random.integer(vocabSize - 3),
  );
  const batch = { inputIds, batch: one.batch, sequence: one.sequence };
  const all = Array.from({ length: layers }, (_, i) => i + 1);
  const depths = quick ? [1, layers] : all;
  const rows = await measureDepths(model, batch, depths, {
    rounds: quick ? 2 : 9,
    least: quick ? 0 : 0.3,
  });
  model.dispose();
  const times = rows.flatMap(({ depth, plain, kept }): DepthTime[] => [
    { depth, kept: false, seconds: plain.median },
    { depth, kept: true, seconds: kept.median },
  ]);
  const parts = fitSteps(times, layers);
  const expected = (depth: number, kept: boolean) => stepSeconds(parts, layers, { depth, kept });
  const off = times.map((time) => Math.abs(time.seconds / stepSeconds(parts, layers, time) - 1));
  report.target(`${one.name}: largest deviation from the sum`, Math.max(...off), 'at most', 0.1);
  report.table(
    `${one.name}: steps of ${one.batch} sequences of ${one.sequence} tokens, adapters on the last k of ${layers} layers`,
    [
      'k',
      'step',
      'sum of parts',
      'MB',
      'step with the prefix kept',
      'its sum of parts',
      'its MB',
      'faster by',
      'step that fills the cache',
      'cache MB',
    ],
    rows.map(({ depth, plain, kept, filling, peaks, cacheBytes }) => [
      String(depth),
      formatSeconds(plain.median),
      formatSeconds(expected(depth, false)),
      formatFigure(peaks[0] / 1e6),
      formatSeconds(kept.median),
      formatSeconds(expected(depth, true)),
      formatFigure(peaks[1] / 1e6),
      ratio(plain, kept).toFixed(2),
      depth === layers ? '' : formatSeconds(filling.median),
      depth === layers ? '' : formatFigure(cacheBytes / 1e6),
    ]),
  );
  report.data(one.name, { parts, times });
  report.note(
    `${one.name}: forward of a layer ${formatSeconds(parts.forward)}, backward ` +
      `${formatSeconds(parts.backward)}, the rest of a step ${formatSeconds(parts.rest)}.`,
  );
}

/** What it saves to train only the last layers. */
export const suite: Suite = {
  claim:
    'Training only the last k of L layers costs the backward of k layers: a step takes rest + L · ' +
    'forward + k · backward, and once the cache keeps what enters them, rest + k · (forward + backward).',
  options: inputOptions,
  async run(context) {
    const { options, report } = context;
    const demo = modelDirectory('demo-3m', options);
    const name = demo === undefined ? 'babyllama-tok105' : 'demo-3m';
    const directory = demo ?? (modelDirectory(name, options) as string);
    await measure(context, { name, directory, batch: 8, sequence: 128 });
    await withDirectory(async (parent) => {
      const synthetic = join(parent, 'tinyllama');
      await writeSyntheticCheckpoint(synthetic, 'tinyllama-1.1b', { layers: 4 });
      await measure(context, {
        name: 'TinyLlama-1.1B shape, 4 layers, random weights',
        directory: synthetic,
        batch: 4,
        sequence: 128,
      });
    });
    report.note(
      'The sum of parts is the formula of the claim with the three figures per model that fit all steps of ' +
        'the table best (least squares of relative errors). A step is forward, backward, clipping and AdamW over adapters of ' +
        'r = 8 on every linear layer of the last k. MB: the most that tensors took during the step, above ' +
        'weights, adapters, optimiser and cache. Losses and gradient norms with and without the cache ' +
        'agree within 1e-5 and 1e-4, which is checked over three steps before anything is timed.',
    );
  },
};
