import { type BarPlot, barPlot } from '../../../ts/common/plot/bar-plot.js';
import { assert, test } from '../../harness.js';
import { textOf } from './well-formed.js';

const PLOT: BarPlot = {
  title: 'What is left',
  xLabel: 'perplexity',
  groups: ['stories', 'Oz'],
  rows: [
    { label: 'comp', values: [2.5, 7], strong: true },
    { label: 'random', values: [11, 40] },
  ],
};

/** Widths of the bars, in drawing order. */
function widths(svg: string): number[] {
  return [...svg.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="13"/g)].map(
    ([, width]) => Number(width),
  );
}

test('it is well-formed, with a legend and the value beside each bar', () => {
  const texts = textOf(barPlot({ ...PLOT, reference: { name: 'before', values: [2.1, 6] } }));
  for (const text of ['stories', 'Oz', 'before', 'comp', '2.5', '40', 'perplexity']) {
    assert.ok(texts.includes(text), text);
  }
});

test('lengths are proportional to values, or to their logarithms', () => {
  const [a, , b] = widths(barPlot(PLOT)) as [number, number, number];
  assert.ok(Math.abs(b / a - 11 / 2.5) < 0.01);
  const values = (...all: number[]) =>
    all.map((value) => ({ label: String(value), values: [value] }));
  const [w1, w10, w100] = widths(
    barPlot({ ...PLOT, groups: ['x'], log: true, rows: values(2, 20, 200) }),
  ) as [number, number, number];
  assert.ok(Math.abs(w100 - w10 - (w10 - w1)) < 0.1);
});

test('values that cannot be shown are left out', () => {
  const rows = [{ label: 'lost', values: [Number.NaN, Number.POSITIVE_INFINITY] }];
  const svg = barPlot({ ...PLOT, log: true, rows });
  textOf(svg);
  assert.is(widths(svg).length, 0);
  assert.not.match(svg, /NaN|Infinity/);
});

test('no rows are no trouble', () => {
  textOf(barPlot({ ...PLOT, rows: [] }));
});
