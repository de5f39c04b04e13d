import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { linePlot } from '../../ts/common/plot/line-plot.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { withDirectory } from '../data.js';
import type { Report, Suite, SuiteContext } from '../harness.js';
import { inputOptions } from '../inputs.js';
import { CellCache } from '../quality/cell-cache.js';
import {
  allCells,
  BASELINES,
  type Cell,
  cellKey,
  type Outcome,
  OURS,
  RATIOS,
  type QualityCache,
  RECOVERIES,
  METRICS,
  splitSource,
  VARIANTS,
} from '../quality/cells.js';
import {
  compare,
  curve,
  geometricMean,
  meanPerplexity,
  perplexityText,
  riseQuotient,
} from '../quality/summary.js';
import { type Subject, subjects } from '../quality/texts.js';

const here = dirname(fileURLToPath(import.meta.url));
const WINDOW = 128;
const KINDS = ['same kind', 'other kind'] as const;

async function measureCell(
  cell: Cell,
  subject: Subject,
  directory: string,
  windows: number,
  split: Outcome['split'],
): Promise<Outcome> {
  const output = join(directory, 'pruned');
  const start = performance.now();
  const result = await prune(subject.directory, {
    output,
    calibration: subject.calibration[cell.calibration],
    ratio: cell.ratio,
    seed: cell.seed,
    samples: 128,
    window: WINDOW,
    force: true,
    ...VARIANTS[cell.variant],
    ...split,
  });
  const seconds = (performance.now() - start) / 1000;
  const { perplexity } = await evaluate(output, {
    text: subject.evaluation,
    window: WINDOW,
    maxWindows: windows,
  });
  await rm(output, { recursive: true, force: true });
  const { dropped } = result.layers;
  const groups = Math.max(...result.widths.numKeyValueHeads);
  return {
    perplexity,
    ratio: result.ratio,
    seconds,
    split: { dropLayers: dropped, keyValueGroups: groups },
  };
}

/** Measures cells until all are there or the time is up; returns how many are still missing. */
async function measureCells(
  { options, say }: SuiteContext,
  cells: readonly Cell[],
  cache: QualityCache,
  found: readonly Subject[],
  directory: string,
  windows: number,
): Promise<number> {
  const end = performance.now() + Number(options.minutes ?? 60) * 60_000;
  const missing = cells.filter((cell) => cache.get(cell) === undefined);
  for (const [index, cell] of missing.entries()) {
    if (performance.now() > end) return missing.length - index;
    const subject = found.find(({ name }) => name === cell.model)!;
    try {
      const source = splitSource(cell);
      const split = source === undefined ? undefined : cache.get(source)?.split;
      const outcome = await measureCell(cell, subject, directory, windows, split);
      cache.set(cell, outcome);
      const figures = `${outcome.perplexity.toFixed(3)} in ${outcome.seconds.toFixed(1)} s`;
      say(`[${index + 1}/${missing.length}] ${Object.values(cell).join(', ')}: ${figures}`);
    } catch (error) {
      // A method that cannot reach a ratio (whole layers only, all protected) counts as endless.
      if ((error as { code?: string }).code !== 'CONFIG') throw error;
      say(`${Object.values(cell).join(', ')}: ${(error as Error).message}`);
      cache.set(cell, { perplexity: Number.MAX_VALUE, ratio: cell.ratio, seconds: 0 });
    }
  }
  return 0;
}

/** What the scores and recoveries of the grid come to over all cells. */
function addGridTable(report: Report, cells: readonly Cell[], cache: QualityCache): void {
  const rows = METRICS.flatMap((metric) =>
    RECOVERIES.map((recover) => [
      `${metric} + ${recover}`,
      ...[...RATIOS, undefined].map(
        (ratio) =>
          meanPerplexity(cells, cache, `${metric} + ${recover}`, ratio)?.toPrecision(4) ?? '',
      ),
    ]),
  );
  report.table(
    'Metric and recovery: geometric mean of perplexity over models, texts and seeds',
    ['metric and recovery', ...RATIOS.map((r) => `${100 * r} %`), 'all'],
    rows.filter((row) => row.slice(1).some((text) => text !== '')),
  );
}

function addTables(
  report: Report,
  cache: QualityCache,
  found: readonly Subject[],
  dense: ReadonlyMap<string, number>,
): void {
  const show = (cell: Omit<Cell, 'seed'>): string => {
    const outcome = perplexityText(cache, cell);
    if (outcome === undefined) return '';
    return outcome.median > 1e6 ? 'cannot' : outcome.text;
  };
  const methods = Object.keys(VARIANTS).filter(
    (name) => !name.includes(' + ') || name.includes(':'),
  );
  for (const { name: model } of found) {
    for (const calibration of KINDS) {
      const rows = methods.map((variant) => {
        const at20 = perplexityText(cache, { model, calibration, ratio: 0.2, variant });
        return [
          variant,
          ...RATIOS.map((ratio) => show({ model, calibration, ratio, variant })),
          at20 === undefined ? '' : `${(100 * at20.ratio).toFixed(1)} %`,
        ];
      });
      report.table(
        `${model}, calibrated on text of the ${calibration}; dense ${dense.get(model)?.toPrecision(4)}`,
        ['perplexity', ...RATIOS.map((r) => `${100 * r} %`), 'truly removed at 20 %'],
        rows.filter((row) => row.slice(1).some((text) => text !== '')),
      );
    }
  }
  for (const ratio of [0.2, 0.5]) {
    for (const { name: model } of found) {
      for (const calibration of KINDS) {
        const rows = METRICS.map((metric) => [
          metric,
          ...RECOVERIES.map((recover) =>
            show({ model, calibration, ratio, variant: `${metric} + ${recover}` }),
          ),
        ]);
        if (rows.every((row) => row.slice(1).every((text) => text === ''))) continue;
        const title = `Metric and recovery at ${100 * ratio} %: ${model}, ${calibration}`;
        report.table(title, ['perplexity', ...RECOVERIES], rows);
      }
    }
  }
}

function addTargets(
  report: Report,
  cells: readonly Cell[],
  cache: QualityCache,
  dense: ReadonlyMap<string, number>,
): void {
  const comparisons = compare(cells, cache, dense);
  if (comparisons.length === 0) return;
  report.data('comparisons', comparisons);
  const at20 = comparisons.filter(({ ratio }) => ratio === 0.2);
  const mean = geometricMean(at20.map(({ quotient }) => quotient));
  const what = 'rise of log-perplexity over that of the best baseline';
  report.target(`20 %, ${what}, geometric mean`, mean, 'at most', 0.4);
  for (const model of new Set(at20.map((c) => c.model))) {
    const own = at20.filter((c) => c.model === model).map(({ quotient }) => quotient);
    const limit = model === 'demo-3m' ? 0.7 : 0.5;
    report.target(`20 %, ${what}, ${model}`, geometricMean(own), 'at most', limit);
  }
  const beside = at20.filter(({ gradientRise }) => gradientRise !== undefined);
  if (beside.length > 0) {
    const quotients = beside.map((c) => riseQuotient(c.rise, c.gradientRise ?? 0));
    const taylor = `20 %, rise of log-perplexity over that of taylor, which takes a gradient`;
    report.target(`${taylor}, geometric mean`, geometricMean(quotients), 'at most', 1);
  }
  const worst = Math.max(...comparisons.map(({ quotient }) => quotient));
  report.target(`worst of ${comparisons.length} cells at all ratios`, worst, 'at most', 1);
  report.table(
    'COMP against the best baseline, cell by cell',
    [
      'model',
      'calibration',
      'ratio',
      'seed',
      'best without gradient',
      'its rise',
      'our rise',
      'quotient',
      "taylor's rise",
    ],
    comparisons.map((c) => [
      c.model,
      c.calibration,
      `${100 * c.ratio} %`,
      String(c.seed),
      c.best,
      c.baselineRise.toFixed(3),
      c.rise.toFixed(3),
      c.quotient.toFixed(2),
      c.gradientRise?.toFixed(3) ?? '',
    ]),
  );
}

function writePlots(
  results: string,
  cache: QualityCache,
  found: readonly Subject[],
  dense: ReadonlyMap<string, number>,
): void {
  mkdirSync(results, { recursive: true });
  for (const { name: model } of found) {
    const variants = [OURS, 'comp (paper: residual + mask)', ...Object.keys(BASELINES)];
    const svg = linePlot({
      title: `${model}: perplexity after structured pruning`,
      subtitle: `calibrated on text of the same kind, windows of ${WINDOW}, median of the seeds`,
      xLabel: 'parameters removed',
      yLabel: 'perplexity',
      logY: true,
      xFormat: (value) => `${Math.round(100 * value)} %`,
      series: variants
        .map((variant) => ({
          name: variant,
          strong: variant === OURS,
          points: curve(
            cache,
            { model, calibration: 'same kind', variant },
            dense.get(model)!,
          ).filter(({ y }) => y < 1e6),
        }))
        .filter(({ points }) => points.length > 1),
    });
    writeFileSync(join(results, `quality-${model}.svg`), svg);
  }
}

/** Says which part of the matrix has been measured. */
function coverage(cells: readonly Cell[], cache: QualityCache): string {
  const share = (some: readonly Cell[]) =>
    `${some.filter((cell) => cache.get(cell) !== undefined).length} of ${some.length}`;
  const compared = ({ variant }: Cell) => variant === OURS || variant in BASELINES;
  const parts = RATIOS.map((ratio) => {
    const own = cells.filter((cell) => cell.ratio === ratio);
    const seeds = [0, 1, 2].map((seed) =>
      share(own.filter((cell) => cell.seed === seed && compared(cell))),
    );
    const others = share(own.filter((cell) => !compared(cell)));
    return `${100 * ratio} %: ${seeds.join(', ')} by seed, other variants ${others}`;
  });
  return (
    `Measured were ${share(cells)} cells, the rest was left out for lack of time; COMP and the ` +
    `baselines at ${parts.join('; at ')}. An empty place in a table is a cell that was not run.`
  );
}

/** Perplexity of COMP and its baselines over models, ratios, seeds and kinds of text. */
export const suite: Suite = {
  claim:
    'At 20 % removed, without gradients or fine-tuning, the rise of log-perplexity under COMP is at ' +
    'most 0.4 of that under the best baseline (geometric mean), and in no cell is it larger.',
  options: { ...inputOptions, minutes: { type: 'string' }, fresh: { type: 'boolean' } },
  async run(context) {
    const { options, quick, report, say } = context;
    await withDirectory(async (directory) => {
      const found = subjects(directory, options, quick);
      if (found.length < 3 && !quick) say('some models are missing: give --models and --texts');
      const windows = quick ? 32 : 280;
      const results = (options.output as string | undefined) ?? join(here, '..', 'results');
      const file = quick
        ? join(here, '..', '.cache', 'quality-quick.jsonl')
        : join(results, 'quality-cells.jsonl');
      const cache = new CellCache<Cell, Outcome>(file, options.fresh === true, cellKey);
      const dense = new Map<string, number>();
      for (const { name, directory: model, evaluation } of found) {
        const limits = { text: evaluation, window: WINDOW, maxWindows: windows };
        dense.set(name, (await evaluate(model, limits)).perplexity);
      }
      const cells = allCells(
        found.map(({ name }) => name),
        quick,
      );
      const left = await measureCells(context, cells, cache, found, directory, windows);
      addTargets(report, cells, cache, dense);
      addGridTable(report, cells, cache);
      addTables(report, cache, found, dense);
      if (!quick || options.output !== undefined) writePlots(results, cache, found, dense);
      for (const { description } of found) report.note(`${description}.`);
      report.note(
        `Perplexity on ${windows} non-overlapping windows of ${WINDOW} tokens, each model with its ` +
          'own tokenizer; 128 calibration windows. Every method, baselines included, picks its own ' +
          'split between layers, heads and channels by held-out calibration loss; in the tables of ' +
          'metric and recovery every recovery picks one, with reconstruction. Numbers: median ' +
          'over the seeds measured (lowest to highest). COMP lets the model write half of its ' +
          'calibration windows; "text only" and "half its own text" show what that is worth, to COMP ' +
          'and to the best baselines.',
      );
      if (left > 0) report.note(coverage(cells, cache));
    });
  },
};
