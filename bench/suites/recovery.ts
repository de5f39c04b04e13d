import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barPlot } from '../../ts/common/plot/bar-plot.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { finetune } from '../../ts/training/finetune.js';
import { withDirectory } from '../data.js';
import type { Report, Suite, SuiteContext } from '../harness.js';
import { inputOptions } from '../inputs.js';
import { CellCache } from '../quality/cell-cache.js';
import { OURS } from '../quality/cells.js';
import { type TrainingSubject, trainingSubjects } from '../quality/texts.js';
import {
  DENSE,
  PRUNERS,
  RECOVERY_RATIOS,
  type RecoveryCell,
  type RecoveryOutcome,
  recoveryCells,
  recoveryKey,
} from '../recovery/cells.js';

type Cache = CellCache<RecoveryCell, RecoveryOutcome>;

const here = dirname(fileURLToPath(import.meta.url));
const WINDOW = 128;

/** The same for every method; LoRA with r = 8 on all linear layers. */
const TRAINING = { loraR: 8, batchSize: 8, maxLength: WINDOW, lr: 2e-3, warmup: 10 } as const;

/** What a run measures with: all of it, or in a quick one just enough to see that it works. */
interface Effort {
  steps: number;
  samples: number;
  evaluated: number;
}

async function measure(
  { ratio, seed, variant }: RecoveryCell,
  subject: TrainingSubject,
  directory: string,
  { steps, samples, evaluated }: Effort,
): Promise<RecoveryOutcome> {
  const limits = { text: subject.evaluation, window: WINDOW, maxWindows: evaluated };
  const pruned = variant === DENSE ? undefined : join(directory, 'pruned');
  const start = performance.now();
  const result =
    pruned === undefined
      ? undefined
      : await prune(subject.directory, {
          output: pruned,
          calibration: subject.calibration,
          ratio,
          seed,
          samples,
          window: WINDOW,
          force: true,
          ...PRUNERS[variant],
        });
  const pruneSeconds = (performance.now() - start) / 1000;
  const model = pruned ?? subject.directory;
  const before = (await evaluate(model, limits)).perplexity;
  const adapter = join(directory, 'adapter');
  const began = performance.now();
  await finetune(model, {
    ...TRAINING,
    output: adapter,
    data: subject.training,
    steps,
    seed,
    force: true,
  });
  const trainingSeconds = (performance.now() - began) / 1000;
  const after = (await evaluate(model, { ...limits, adapter })).perplexity;
  return { before, after, removed: result?.ratio ?? 0, pruneSeconds, trainingSeconds };
}

/** Measures cells until all are there or the time is up; returns how many are still missing. */
async function measureAll(
  { options, say }: SuiteContext,
  cells: readonly RecoveryCell[],
  cache: Cache,
  found: readonly TrainingSubject[],
  directory: string,
  effort: Effort,
): Promise<number> {
  const end = performance.now() + Number(options.minutes ?? 60) * 60_000;
  const { model, ratio } = options;
  const wanted = (cell: RecoveryCell) =>
    (model === undefined || cell.model === model) &&
    (ratio === undefined || cell.ratio === Number(ratio));
  const missing = cells.filter((cell) => wanted(cell) && cache.get(cell) === undefined);
  for (const [index, cell] of missing.entries()) {
    if (performance.now() > end) return missing.length - index;
    const subject = found.find(({ name }) => name === cell.model)!;
    const outcome = await measure(cell, subject, directory, effort).catch((error) => {
      // A method that cannot reach a ratio (whole layers only, all protected) counts as endless.
      if (error.code !== 'CONFIG') throw error;
      const never = { before: Number.MAX_VALUE, after: Number.MAX_VALUE };
      return { ...never, removed: cell.ratio, pruneSeconds: 0, trainingSeconds: 0 };
    });
    cache.set(cell, outcome);
    const { before, after, pruneSeconds, trainingSeconds } = outcome;
    say(
      `[${index + 1}/${missing.length}] ${Object.values(cell).join(', ')}: ${show(before)} → ` +
        `${show(after)}, ${pruneSeconds.toFixed(1)} + ${trainingSeconds.toFixed(1)} s`,
    );
  }
  return 0;
}

function show(perplexity: number): string {
  return perplexity > 1e6 ? 'cannot' : perplexity.toPrecision(4);
}

/** The outcomes of a variant over the seeds with which all were measured, else over the first. */
function outcomes(
  cache: Cache,
  { model, ratio, variant }: Omit<RecoveryCell, 'seed'>,
): RecoveryOutcome[] {
  const complete = SEEDS.filter((seed) =>
    RECOVERY_RATIOS.every((one) =>
      Object.keys(PRUNERS).every((each) => cache.get({ model, ratio: one, seed, variant: each })),
    ),
  );
  const seeds = complete.length === 0 ? SEEDS.slice(0, 1) : complete;
  return seeds.flatMap((seed) => cache.get({ model, ratio, seed, variant }) ?? []);
}

const SEEDS = [0, 1, 2];

type Figure = 'before' | 'after' | 'removed';

/** Median over the seeds, the lower of two, with the range where there are several. */
function median(some: readonly RecoveryOutcome[], figure: Figure): number | undefined {
  return some.map((one) => one[figure]).sort((a, b) => a - b)[(some.length - 1) >> 1];
}

function text(some: readonly RecoveryOutcome[], figure: Figure): string {
  const middle = median(some, figure);
  if (middle === undefined) return '';
  if (some.length === 1 || middle > 1e6) return show(middle);
  const values = some.map((one) => one[figure]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${show(middle)} (${low.toPrecision(3)}–${high.toPrecision(3)})`;
}

function addTables(report: Report, cache: Cache, models: readonly string[]): void {
  for (const model of models) {
    const dense = outcomes(cache, { model, ratio: 0, variant: DENSE });
    for (const ratio of RECOVERY_RATIOS) {
      const rows = Object.keys(PRUNERS).flatMap((variant) => {
        const some = outcomes(cache, { model, ratio, variant });
        if (some.length === 0) return [];
        const removed =
          (median(some, 'before') as number) > 1e6 ? undefined : median(some, 'removed');
        const share = removed === undefined ? '' : `${(100 * removed).toFixed(1)} %`;
        return [[variant, text(some, 'before'), text(some, 'after'), share]];
      });
      if (rows.length === 0) continue;
      report.table(
        `${model}, ${100 * ratio} %`,
        ['perplexity', 'pruned', 'and fine-tuned', 'truly removed'],
        [[DENSE, text(dense, 'before'), text(dense, 'after'), '0.0 %'], ...rows],
      );
    }
  }
}

/** Says which part of the matrix has been measured. */
function coverage(cells: readonly RecoveryCell[], cache: Cache): string {
  const parts = [...new Set(cells.map(({ model }) => model))].map((model) => {
    const counts = SEEDS.map((seed) => {
      const own = cells.filter((cell) => cell.model === model && cell.seed === seed);
      return `${own.filter((cell) => cache.get(cell) !== undefined).length} of ${own.length}`;
    });
    return `${model} ${counts.join(', ')}`;
  });
  return (
    `Cells measured, by seed: ${parts.join('; ')}; the rest was left out for lack of time. Figures ` +
    'are of the seeds that are complete, else of the first; a method that was not run has no row, ' +
    'and where one is missing no target is judged.'
  );
}

/** Holds COMP against the best baseline, before and after fine-tuning, in every cell with both. */
function addTargets(report: Report, cache: Cache, models: readonly string[]): void {
  for (const figure of ['before', 'after'] as const) {
    for (const model of models) {
      for (const ratio of RECOVERY_RATIOS) {
        const found = Object.keys(PRUNERS).map((variant) => ({
          variant,
          value: median(outcomes(cache, { model, ratio, variant }), figure),
        }));
        const ours = found.find(({ variant }) => variant === OURS)?.value;
        const others = found.filter(({ variant }) => variant !== OURS);
        if (ours === undefined || others.some(({ value }) => value === undefined)) continue;
        const best = others.reduce((a, b) => (b.value! < a.value! ? b : a));
        report.target(
          `${figure} fine-tuning, ${model}, ${100 * ratio} %: COMP's perplexity over that of the ` +
            `best baseline (${best.variant})`,
          ours / best.value!,
          'at most',
          1,
        );
      }
    }
  }
}

function writePlot(results: string, cache: Cache, model: string, steps: number): void {
  const dense = median(outcomes(cache, { model, ratio: 0, variant: DENSE }), 'before');
  const values = (variant: string) =>
    RECOVERY_RATIOS.flatMap((ratio) => {
      const some = outcomes(cache, { model, ratio, variant });
      return (['before', 'after'] as const).map((figure) => median(some, figure) ?? Number.NaN);
    }).map((value) => (value > 1e6 ? Number.NaN : value));
  const rows = Object.keys(PRUNERS)
    .map((variant) => ({ label: variant, values: values(variant), strong: variant === OURS }))
    .filter((row) => row.values.some(Number.isFinite));
  // One method alone has nothing to stand beside.
  if (rows.length < 2) return;
  const svg = barPlot({
    title: `${model}: perplexity after pruning, and after fine-tuning what is left`,
    subtitle: `${steps} LoRA steps, the same for all; unpruned ${dense?.toPrecision(4)}; lower is better`,
    xLabel: 'perplexity',
    groups: RECOVERY_RATIOS.flatMap((ratio) => [
      `${100 * ratio} % pruned`,
      `${100 * ratio} %, fine-tuned`,
    ]),
    rows,
    log: true,
  });
  writeFileSync(join(results, `recovery-${model}.svg`), svg);
}

/** Perplexity of pruned models before and after the same fine-tuning, COMP beside its baselines. */
export const suite: Suite = {
  claim:
    'Pruned by COMP, models are better than pruned by any baseline, with gradients or without, and ' +
    'no worse after the same number of LoRA steps.',
  options: {
    ...inputOptions,
    minutes: { type: 'string' },
    fresh: { type: 'boolean' },
    /** Measure the missing cells of this model, or ratio, only; several runs then share the work. */
    model: { type: 'string' },
    ratio: { type: 'string' },
  },
  async run(context) {
    const { options, quick, report, say } = context;
    await withDirectory(async (directory) => {
      const found = trainingSubjects(directory, options, quick);
      if (found.length < 3 && !quick) say('some models are missing: give --models and --texts');
      const effort: Effort = quick
        ? { steps: 10, samples: 16, evaluated: 16 }
        : { steps: 200, samples: 128, evaluated: 280 };
      const file = join(here, '..', '.cache', quick ? 'recovery-quick.jsonl' : 'recovery.jsonl');
      const cache: Cache = new CellCache(file, options.fresh === true, recoveryKey);
      const models = found.map(({ name }) => name);
      const cells = recoveryCells(models, quick ? [0] : SEEDS);
      const left = await measureAll(context, cells, cache, found, directory, effort);
      addTargets(report, cache, models);
      addTables(report, cache, models);
      report.data(
        'cells',
        cells.flatMap((cell) => {
          const outcome = cache.get(cell);
          return outcome === undefined ? [] : [{ ...cell, ...outcome }];
        }),
      );
      const results = (options.output as string | undefined) ?? join(here, '..', 'results');
      if (!quick || options.output !== undefined) {
        mkdirSync(results, { recursive: true });
        for (const model of models) writePlot(results, cache, model, effort.steps);
      }
      for (const { description } of found) report.note(`${description}.`);
      report.note(
        `Fine-tuning: ${effort.steps} steps of ${TRAINING.batchSize} windows of ${WINDOW} tokens, ` +
          `LoRA with r = ${TRAINING.loraR} on all linear layers, AdamW, learning rate ${TRAINING.lr} ` +
          'falling linearly, the same data in the same order for every method. Perplexity on ' +
          `${effort.evaluated} windows of ${WINDOW} tokens; ${effort.samples} calibration windows.`,
      );
      report.note(
        'Every method picks its own split between layers, heads and channels by held-out calibration ' +
          'loss; shortgpt removes whole layers, and so often more than the ratio asks for.',
      );
      if (left > 0) report.note(coverage(cells, cache));
    });
  },
};
