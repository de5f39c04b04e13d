import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { linePlot } from '../../ts/common/plot/line-plot.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { withDirectory } from '../data.js';
import type { Suite, SuiteContext } from '../harness.js';
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
  splitSource,
  VARIANTS,
} from '../quality/cells.js';
import { curve } from '../quality/summary.js';
import { addGridTable, addTables, addTargets, addWrittenTable } from '../quality/tables.js';
import { type Subject, subjects } from '../quality/texts.js';

const here = dirname(fileURLToPath(import.meta.url));
const WINDOW = 128;

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
      addWrittenTable(report, cells, cache, dense);
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
          'and to the best baselines. Cells are kept in quality-cells.jsonl from run to run ' +
          'and come from several machines; the one above made the tables.',
      );
      if (left > 0) report.note(coverage(cells, cache));
    });
  },
};
