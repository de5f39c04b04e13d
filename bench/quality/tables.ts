import type { Report } from '../harness.js';
import {
  type Cell,
  GRADIENT_FREE,
  KINDS,
  METRICS,
  type QualityCache,
  RATIOS,
  RECOVERIES,
  TEXT_ONLY,
  VARIANTS,
  WRITTEN,
} from './cells.js';
import {
  compare,
  geometricMean,
  meanPerplexity,
  perplexityText,
  riseQuotient,
  type Sides,
} from './summary.js';
import type { Subject } from './texts.js';

/** Whether a row says anything behind its name. */
function isMeasured([, ...texts]: readonly string[]): boolean {
  return texts.some((text) => text !== '');
}

/** What the windows that a model writes itself are worth to either side. */
export function addWrittenTable(
  report: Report,
  cells: readonly Cell[],
  cache: QualityCache,
  dense: ReadonlyMap<string, number>,
): void {
  const written = Object.keys(WRITTEN).filter((name) => name !== TEXT_ONLY);
  const sides: Record<string, Sides> = {
    'comp over the best baseline': {},
    'baselines with their own text too': {
      baselines: [...Object.keys(GRADIENT_FREE), ...written],
    },
    'comp on text alone': { ours: TEXT_ONLY },
  };
  const compared = Object.values(sides).map((side) => compare(cells, cache, dense, side));
  const rows = RATIOS.map((ratio) => [
    `${100 * ratio} %`,
    ...compared.map((found) => {
      const quotients = found.filter((c) => c.ratio === ratio).map(({ quotient }) => quotient);
      if (quotients.length === 0) return '';
      const worst = Math.max(...quotients).toPrecision(3);
      return `${geometricMean(quotients).toPrecision(3)} (${worst}) in ${quotients.length} cells`;
    }),
  ]);
  report.table(
    'What a model’s own text is worth: quotient of the rises, geometric mean (worst cell)',
    ['ratio', ...Object.keys(sides)],
    rows.filter(isMeasured),
  );
}

/** What the scores and recoveries of the grid come to over all cells. */
export function addGridTable(report: Report, cells: readonly Cell[], cache: QualityCache): void {
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
    rows.filter(isMeasured),
  );
}

/** Perplexity by method and ratio, and the grid of metric and recovery, model by model. */
export function addTables(
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
        rows.filter(isMeasured),
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
        if (!rows.some(isMeasured)) continue;
        const title = `Metric and recovery at ${100 * ratio} %: ${model}, ${calibration}`;
        report.table(title, ['perplexity', ...RECOVERIES], rows);
      }
    }
  }
}

/** The targets, and the comparisons they are made of. */
export function addTargets(
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
