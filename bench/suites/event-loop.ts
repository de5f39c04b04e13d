import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { finetune } from '../../ts/training/finetune.js';
import type { FinetuneOptions } from '../../ts/training/finetune-options.js';
import { withDirectory } from '../data.js';
import type { Suite } from '../harness.js';
import { inputOptions, modelDirectory, textFile } from '../inputs.js';
import { demoDirectory, writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';

/** What a monitor saw, in milliseconds beyond its own interval. */
interface Delay {
  seconds: number;
  p99: number;
  p999: number;
  longest: number;
}

/** Milliseconds between two looks of the monitor. */
const RESOLUTION = 1;

async function watch(work: () => Promise<unknown>): Promise<Delay> {
  const monitor: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  monitor.enable();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  monitor.disable();
  // The histogram holds the time between two looks, in nanoseconds: its interval is no delay.
  const milliseconds = (value: number) => Math.max(0, value / 1e6 - RESOLUTION);
  return {
    seconds,
    p99: milliseconds(monitor.percentile(99)),
    p999: milliseconds(monitor.percentile(99.9)),
    longest: milliseconds(monitor.max),
  };
}

/** Rows for a classifier of two classes. */
function writeLabelledRows(path: string, count: number): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const happy = i % 2 === 0;
    return `${'the girl was very '.repeat(1 + (i % 9))}${happy ? 'happy' : 'sad'}\t${happy}`;
  });
  writeFileSync(path, `text\tlabel\n${rows.join('\n')}\n`);
  return path;
}

/** Delay of the event loop while a prune, an evaluation and trainings run in the same process. */
export const suite: Suite = {
  claim: 'While prune, eval and finetune run, the event loop is never delayed by more than 20 ms.',
  options: { ...inputOptions, layers: { type: 'string' } },
  async run({ options, quick, report, say, device }) {
    const table: string[][] = [];
    const calibration = join(demoDirectory(), 'text', 'calibration.txt');
    const measure = async (what: string, work: () => Promise<unknown>, limited = true) => {
      say(what);
      const delay = await watch(work);
      const figures = [delay.p99, delay.p999, delay.longest].map((ms) => ms.toFixed(1));
      table.push([what, delay.seconds.toFixed(1), ...figures]);
      if (limited) report.target(`${what}: longest delay in ms`, delay.longest, 'at most', 20);
    };
    await withDirectory(async (directory) => {
      const output = join(directory, 'pruned');
      await measure('nothing runs', () => new Promise((done) => setTimeout(done, 3000)), false);
      const pruneAndEvaluate = async (name: string, model: string, text: string) => {
        const settings = { output, calibration, force: true, device };
        await measure(`prune ${name}`, () => prune(model, settings));
        await measure(`eval ${name}`, () => evaluate(model, { text, device }));
      };
      for (const [name, file] of [
        ['babyllama-tok105', 'stories.txt'],
        ['demo-3m', 'pd_valid.txt'],
      ] as const) {
        const model = modelDirectory(name, options);
        const text = textFile(file, options);
        if (model !== undefined && text !== undefined) await pruneAndEvaluate(name, model, text);
        if (quick) break;
      }
      // Each way of training, with evaluations and checkpoints on the way.
      const train = async (what: string, more: Partial<FinetuneOptions>, model: string) => {
        const target = join(directory, 'trained');
        const story = join(demoDirectory(), 'text', 'stories.txt');
        const steps = quick ? 40 : 200;
        const common = { output: target, force: true, data: story, evalData: story, device };
        const often = { steps, evalEvery: steps / 2, saveEvery: 20 };
        await measure(`finetune ${what}`, () => finetune(model, { ...common, ...often, ...more }));
      };
      const rows = writeLabelledRows(join(directory, 'rows.tsv'), quick ? 500 : 5000);
      const small = join(demoDirectory(), 'model');
      await train('babyllama-tok105, LoRA', {}, small);
      await train('babyllama-tok105, every weight', { full: true }, small);
      const classes = { task: 'classify', data: rows, evalData: rows } as const;
      await train('babyllama-tok105, classes', classes, small);
      const layers = Number(options.layers ?? (quick ? 1 : 3));
      const model = join(directory, 'synthetic');
      await writeSyntheticCheckpoint(model, 'tinyllama-1.1b', { layers });
      const shape = `a TinyLlama-1.1B shape, ${layers} layers`;
      const settings = { output, calibration, force: true, device };
      const little = { ...settings, samples: 32, layerShare: 0, ratio: 0.1 };
      await measure(`prune ${shape}`, () => prune(model, little));
      const text = join(demoDirectory(), 'text', 'stories.txt');
      await measure(`eval ${shape}`, () => evaluate(model, { text, maxWindows: 32, device }));
      const few = { steps: 4, evalEvery: 2, saveEvery: 2, batchSize: 2, maxLength: 128 };
      const short = join(directory, 'short.txt');
      writeFileSync(short, 'Once upon a time there was a dog who saw a boy. '.repeat(40));
      await train(`${shape}, LoRA`, { ...few, data: short, evalData: short }, model);
    });
    report.table(
      'Delay of the event loop in milliseconds, beyond the monitor’s own interval',
      ['while', 'seconds', 'p99', 'p99.9', 'longest'],
      table,
    );
    report.note(
      `Measured with \`monitorEventLoopDelay({ resolution: ${RESOLUTION} })\` in the process that ` +
        'works. The first line is the machine itself: what other processes and the scheduler add.',
    );
  },
};
