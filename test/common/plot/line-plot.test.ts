import { type LinePlot, linePlot } from '../../../ts/common/plot/line-plot.js';
import { assert, test } from '../../harness.js';
import { textOf } from './well-formed.js';

const PLOT: LinePlot = {
  title: 'Perplexity after pruning',
  xLabel: 'parameters removed',
  yLabel: 'perplexity',
  logY: true,
  series: [
    {
      name: 'comp',
      strong: true,
      points: [
        { x: 0.1, y: 2.2 },
        { x: 0.5, y: 4 },
      ],
    },
    {
      name: 'random',
      points: [
        { x: 0.1, y: 5 },
        { x: 0.5, y: 500 },
      ],
    },
  ],
};

/** Heights of the labels at the right ends of the lines. */
function labelHeights(svg: string, names: readonly string[]): number[] {
  return names.map((name) => Number(new RegExp(`y="([\\d.]+)"[^>]*>${name}<`).exec(svg)?.[1]));
}

test('it is well-formed and says what it shows', () => {
  const texts = textOf(linePlot(PLOT));
  for (const text of ['Perplexity after pruning', 'parameters removed', 'perplexity', 'comp']) {
    assert.ok(texts.includes(text), text);
  }
});

test('names cannot break out of the document', () => {
  const name = `<script>"&'\u0000`;
  const svg = linePlot({ ...PLOT, title: name, series: [{ name, points: [{ x: 1, y: 1 }] }] });
  textOf(svg);
  assert.not.match(svg, '<script');
});

test('labels of lines that end together stay apart and inside', () => {
  const names = Array.from({ length: 8 }, (_, i) => `line${i}`);
  const series = names.map((name) => ({
    name,
    points: [
      { x: 0, y: 1 },
      { x: 1, y: 2 },
    ],
  }));
  const heights = labelHeights(linePlot({ ...PLOT, series }), names).sort((a, b) => a - b);
  for (let i = 1; i < heights.length; i++) {
    assert.ok((heights[i] as number) - (heights[i - 1] as number) >= 12);
  }
  assert.ok((heights[0] as number) > 0 && (heights.at(-1) as number) < 460);
});

test('values that a logarithm cannot show leave a gap instead of a wrong line', () => {
  const points = [
    { x: 1, y: 1 },
    { x: 2, y: 0 },
    { x: 3, y: Number.NaN },
    { x: 4, y: 10 },
  ];
  const svg = linePlot({ ...PLOT, series: [{ name: 'one', points }] });
  textOf(svg);
  assert.not.match(svg, /NaN|Infinity/);
  assert.is(svg.match(/<circle/g)?.length, 2);
});

test('no series, or one point, is drawn without trouble', () => {
  textOf(linePlot({ ...PLOT, series: [] }));
  const one = linePlot({ ...PLOT, series: [{ name: 'one', points: [{ x: 0, y: 3 }] }] });
  textOf(one);
  assert.not.match(one, /NaN|Infinity/);
});

test('higher values stand higher', () => {
  const svg = linePlot({ ...PLOT, reference: { y: 2, label: 'dense' } });
  const [comp, random, dense] = labelHeights(svg, ['comp', 'random', 'dense']) as [
    number,
    number,
    number,
  ];
  assert.ok(random < comp && comp < dense);
});
