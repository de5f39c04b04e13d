import { join } from 'node:path';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
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

/** Delay of the event loop while a prune and an evaluation run in the same process. */
export const suite: Suite = {
  claim: 'While prune and eval run, the event loop is never delayed by more than 20 ms.',
  options: { ...inputOptions, layers: { type: 'string' } },
  async run({ options, quick, report, say }) {
    const rows: string[][] = [];
    const calibration = join(demoDirectory(), 'text', 'calibration.txt');
    const measure = async (what: string, work: () => Promise<unknown>, limited = true) => {
      say(what);
      const delay = await watch(work);
      const figures = [delay.p99, delay.p999, delay.longest].map((ms) => ms.toFixed(1));
      rows.push([what, delay.seconds.toFixed(1), ...figures]);
      if (limited) report.target(`${what}: longest delay in ms`, delay.longest, 'at most', 20);
    };
    await withDirectory(async (directory) => {
      const output = join(directory, 'pruned');
      await measure('nothing runs', () => new Promise((done) => setTimeout(done, 3000)), false);
      const pruneAndEvaluate = async (name: string, model: string, text: string) => {
        await measure(`prune ${name}`, () => prune(model, { output, calibration, force: true }));
        await measure(`eval ${name}`, () => evaluate(model, { text }));
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
      const layers = Number(options.layers ?? (quick ? 1 : 3));
      const model = join(directory, 'synthetic');
      await writeSyntheticCheckpoint(model, 'tinyllama-1.1b', { layers });
      const shape = `a TinyLlama-1.1B shape, ${layers} layers`;
      const settings = { output, calibration, force: true, samples: 32, layerShare: 0, ratio: 0.1 };
      await measure(`prune ${shape}`, () => prune(model, settings));
      const text = join(demoDirectory(), 'text', 'stories.txt');
      await measure(`eval ${shape}`, () => evaluate(model, { text, maxWindows: 32 }));
    });
    report.table(
      'Delay of the event loop in milliseconds, beyond the monitor’s own interval',
      ['while', 'seconds', 'p99', 'p99.9', 'longest'],
      rows,
    );
    report.note(
      `Measured with \`monitorEventLoopDelay({ resolution: ${RESOLUTION} })\` in the process that ` +
        'prunes. The first line is the machine itself: what other processes and the scheduler add.',
    );
  },
};
