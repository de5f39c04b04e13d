import { join } from 'node:path';
import { runChild } from '../child.js';
import { withDirectory } from '../data.js';
import { formatFigure, formatSeconds, type Suite, type SuiteContext } from '../harness.js';
import { inputOptions, modelDirectory } from '../inputs.js';
import { writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';
import type { SharedBaseRequest, SharedBaseResult } from './shared-base-child.js';

/** Bytes of a trained element: its value and AdamW's two running means, all f32. */
const BYTES_EACH = 12;

const SETS = 16;

async function measure(
  { report, say, threads }: SuiteContext,
  one: { name: string; directory: string; batch: number; sequence: number },
): Promise<void> {
  say(one.name);
  const { name, ...rest } = one;
  const train = (sets: number) => {
    const request: SharedBaseRequest = { ...rest, sets, steps: 2 * SETS, threads };
    return runChild<SharedBaseResult>('suites/shared-base-child.ts', request);
  };
  const single = await train(1);
  const result = await train(SETS);
  const { base, elements, states, final } = result;
  const perSet = BYTES_EACH * elements;
  // What one step takes on top: the activations, gradients and scratch of a single set.
  const working = single.final.peak - base - perSet;
  const resident = (sets: number) => base + sets * perSet;
  report.target(
    `${name}: tensors of ${SETS} trained sets over base + ${SETS} × set`,
    final.resident / resident(SETS),
    'at most',
    1.05,
  );
  report.target(
    `${name}: their peak over base + ${SETS} × set + one step`,
    final.peak / (resident(SETS) + working),
    'at most',
    1.05,
  );
  // Below that, the process is mostly Node's heap, which grows with garbage, not with sets.
  if (base > 1e8) {
    report.target(
      `${name}: peak of the process over that with one set + ${SETS - 1} × set`,
      final.process / (single.final.process + (SETS - 1) * perSet),
      'at most',
      1.05,
    );
  }
  const doubling = states.slice(1, -1).filter(({ sets }) => Number.isInteger(Math.log2(sets)));
  const shown = [single.final, ...doubling, final];
  report.table(
    `${name}: base ${formatFigure(base / 1e6)} MB, a set ${formatFigure(perSet / 1e6)} MB, a step ` +
      `${formatFigure(working / 1e6)} MB on top; all in MB`,
    [
      'sets trained',
      'tensors',
      'base + sets',
      'peak',
      'base + sets + one step',
      'peak of the process',
    ],
    shown.map(
      (state) =>
        [
          String(state.sets),
          formatFigure(state.resident / 1e6),
          formatFigure(resident(state.sets) / 1e6),
          formatFigure(state.peak / 1e6),
          formatFigure((resident(state.sets) + working) / 1e6),
          formatFigure(state.process / 1e6),
        ] as const,
    ),
  );
  report.data(name, result);
  report.note(`${name}: putting another set in force takes ${formatSeconds(result.switching)}.`);
}

/** Many adapter sets on one base in one process. */
export const suite: Suite = {
  claim:
    '16 adapter sets on one base in one process, each trained in its turn, take the memory of the base ' +
    'once, 16 times that of a set, and that of one step: within 5 %.',
  options: inputOptions,
  async run(context) {
    const { options, quick, report } = context;
    const demo = modelDirectory('demo-3m', options);
    const name = demo === undefined ? 'babyllama-tok105' : 'demo-3m';
    const directory = demo ?? (modelDirectory(name, options) as string);
    await measure(context, { name, directory, batch: 4, sequence: 64 });
    await withDirectory(async (parent) => {
      const synthetic = join(parent, 'tinyllama');
      const layers = quick ? 2 : 4;
      await writeSyntheticCheckpoint(synthetic, 'tinyllama-1.1b', { layers });
      await measure(context, {
        name: `TinyLlama-1.1B shape, ${layers} layers, random weights`,
        directory: synthetic,
        batch: 1,
        sequence: 64,
      });
    });
    report.note(
      'A set is adapters of r = 8 on every linear layer with the two running means of AdamW, counted ' +
        `as ${BYTES_EACH} bytes a trained element; gradients live for one step and count to it. "Tensors" is ` +
        'all native memory between steps, "peak" the most so far, weights included, which are held as f32 ' +
        "copies here so that they are counted in the same place. The process's peak is VmHWM: libraries, the " +
        'mapped checkpoint and the JavaScript heap too, whose 30 to 50 MB depend on when garbage is ' +
        'collected; it has a target where the base is large enough. What a step takes on top is ' +
        `measured with one set that takes as many steps as the ${SETS} together, ${2 * SETS}; in between, each set takes one step.`,
    );
    report.note(
      'Checked: the steps of the first and the last set, taken in turn with all others, have the losses ' +
        'and gradient norms, bit by bit, of the same set trained alone.',
    );
  },
};
