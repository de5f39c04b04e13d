// Prunes the model of this folder by a fifth, with COMP and with the five methods beside it, and says
// what became of it: a table, two sentences, and a picture in demo/output/.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { duration, percent, significant, whole } from '../ts/cli/figures.js';
import { progressOn } from '../ts/cli/progress.js';
import { screenOn } from '../ts/cli/screen.js';
import { styleFor } from '../ts/cli/style.js';
import { table } from '../ts/cli/table.js';
import { evaluate, inspect, prune } from '../ts/index.js';
import { type Outcome, meaning, picture } from './report.js';

const RATIO = 0.2;
const SAMPLES = 64;
const METHODS = ['comp', 'flap', 'wanda-sp', 'shortgpt', 'magnitude', 'random'] as const;

const here = fileURLToPath(new URL('.', import.meta.url));
const model = join(here, 'model');
const calibration = join(here, 'text', 'calibration.txt');
const texts = [join(here, 'text', 'stories.txt'), join(here, 'text', 'wizard-of-oz.txt')];
const output = join(here, 'output');

const err = screenOn(process.stderr);
const out = screenOn(process.stdout);
const style = styleFor(out.colour);
const show = (path: string) => relative(process.cwd(), path) || '.';

async function measure(method: string, directory: string, seconds: number): Promise<Outcome> {
  const { parameters } = await inspect(directory);
  const perplexity: number[] = [];
  for (const text of texts) perplexity.push((await evaluate(directory, { text })).perplexity);
  return { method, parameters: parameters.total, seconds, perplexity };
}

const scratch = await mkdtemp(join(tmpdir(), 'espalier-demo-'));
const began = performance.now();
const outcomes: Outcome[] = [];
try {
  await mkdir(output, { recursive: true });
  const progress = progressOn(err);
  const steps = METHODS.length + 1;
  const step = (completed: number, model?: string) =>
    progress.report({
      phase: 'prune and measure',
      completed,
      total: steps,
      unit: 'models',
      ...(model === undefined ? {} : { values: { now: model } }),
    });
  step(0, 'the model as it is');
  outcomes.push(await measure('before', model, 0));
  for (const [index, method] of METHODS.entries()) {
    step(index + 1, method);
    const directory = method === 'comp' ? join(output, 'comp') : join(scratch, method);
    const start = performance.now();
    await prune(model, {
      method,
      output: directory,
      ratio: RATIO,
      samples: SAMPLES,
      calibration: [calibration],
      force: true,
    });
    outcomes.push(await measure(method, directory, (performance.now() - start) / 1000));
  }
  step(steps);
  progress.close();
} finally {
  await rm(scratch, { recursive: true, force: true });
}

const [before, ...after] = outcomes as [Outcome, ...Outcome[]];
const removed = (outcome: Outcome) => 1 - outcome.parameters / before.parameters;
const rows = outcomes.map((outcome) => {
  const cells = [
    outcome.method,
    ...outcome.perplexity.map((value) => significant(value)),
    whole(outcome.parameters),
    outcome === before ? '' : percent(removed(outcome)),
    outcome === before ? '' : duration(outcome.seconds),
  ];
  return outcome.method === 'comp' ? cells.map((cell) => style.bold(cell)) : cells;
});
const over = after.filter((outcome) => removed(outcome) > RATIO + 0.02);
const footnote = over
  .map(({ method }) => `${method} removes whole layers only, and two are more than a fifth.\n`)
  .join('');
const drawing = join(output, 'perplexity.svg');
await writeFile(drawing, picture(before, after));

out.write(`
A fifth of a real language model removed, by six methods (perplexity: lower is better)

${table(
  [
    { title: 'method' },
    { title: 'held-out stories', align: 'right' },
    { title: 'Wizard of Oz', align: 'right' },
    { title: 'parameters', align: 'right' },
    { title: 'removed', align: 'right' },
    { title: 'prune', align: 'right' },
  ],
  rows,
  style,
)}${footnote}
${meaning(before, after)}

picture  ${show(drawing)}
model    ${show(join(output, 'comp'))} (loads in espalier and in stock transformers)
time     ${duration((performance.now() - began) / 1000)} in all

For a model of your own, a Hugging Face directory of the LLaMA family, and some text it should keep:

  node dist/cli/espalier.js prune ./model --output ./pruned --ratio 0.2 --calibration text.txt
  node dist/cli/espalier.js eval ./pruned --text other.txt
`);
