import { makeScale, type Scale } from './scale.js';
import { document, element, INK, label, MARGIN, PALETTE, textWidth, tickText } from './svg.js';

/** What a bar plot shows: for every row one bar per group. */
export interface BarPlot {
  title: string;
  subtitle?: string;
  /** What the bars measure. */
  xLabel: string;
  /** Names of the bars of a row, shown in the legend; one needs none. */
  groups: readonly string[];
  rows: readonly {
    label: string;
    /** One per group; ones that are not finite (or not positive on a log axis) are left out. */
    values: readonly number[];
    /** Shown in bold. */
    strong?: boolean;
  }[];
  /** Logarithmic lengths. */
  log?: boolean;
  /** A value per group to compare with, drawn as a dashed line; `name` joins the legend. */
  reference?: { name: string; values: readonly number[] };
  /** Pixels; default 760. */
  width?: number;
}

const BAR = 15;
const ROW_GAP = 14;

/** Horizontal bars with their values beside them, as an SVG document. */
export function barPlot(plot: BarPlot): string {
  const { width = 760, groups, rows, reference } = plot;
  const nameRoom = Math.max(40, ...rows.map((row) => textWidth(row.label, 13)));
  const left = MARGIN + nameRoom + 10;
  const right = width - MARGIN - 52;
  const top = groups.length > 1 || reference !== undefined ? 92 : 66;
  const rowHeight = groups.length * BAR + ROW_GAP;
  const bottom = top + rows.length * rowHeight;
  const height = bottom + 58;

  const shown = (value: number | undefined): value is number =>
    value !== undefined && Number.isFinite(value) && (plot.log !== true || value > 0);
  const all = [...rows.flatMap(({ values }) => values), ...(reference?.values ?? [])].filter(shown);
  const x = makeScale(domainOf(all, plot.log === true), [left, right], { log: plot.log ?? false });

  const content = [...axis(plot.xLabel, x, { left, right, top, bottom })];
  rows.forEach((row, index) => {
    const y = top + index * rowHeight + ROW_GAP / 2;
    const middle = y + (groups.length * BAR) / 2 + 4.5;
    const weight = row.strong === true ? 700 : 400;
    content.push(
      label(left - 10, middle, row.label, {
        'text-anchor': 'end',
        'font-size': 13,
        'font-weight': weight,
      }),
    );
    groups.forEach((_, group) => {
      const value = row.values[group];
      if (!shown(value)) return;
      const end = Math.max(left + 1, x.at(value));
      const by = y + group * BAR;
      const opacity = row.strong === true ? 1 : 0.62;
      const fill = PALETTE[group % PALETTE.length];
      content.push(
        element('rect', {
          x: left,
          y: by,
          width: end - left,
          height: BAR - 2,
          fill,
          'fill-opacity': opacity,
        }),
        label(end + 5, by + BAR - 4, valueText(value), { 'font-size': 11, 'font-weight': weight }),
      );
    });
  });
  reference?.values.forEach((value, group) => {
    if (!shown(value)) return;
    content.push(
      element('line', {
        x1: x.at(value),
        x2: x.at(value),
        y1: top,
        y2: bottom,
        stroke: PALETTE[group % PALETTE.length],
        'stroke-width': 1.5,
        'stroke-dasharray': '4 3',
      }),
    );
  });
  if (top > 66) content.push(...legend(plot));
  return document({ width, height, title: plot.title, subtitle: plot.subtitle }, content);
}

/** Linear bars start at zero; logarithmic ones a little under the smallest value. */
function domainOf(values: readonly number[], log: boolean): [number, number] {
  if (values.length === 0) return log ? [1, 10] : [0, 1];
  if (!log) return [Math.min(0, ...values), Math.max(0, ...values)];
  const smallest = Math.min(...values);
  return [smallest >= 1 ? Math.max(1, smallest / 2) : smallest / 2, Math.max(...values)];
}

function valueText(value: number): string {
  return value >= 1e4 ? tickText(value) : String(Number(value.toPrecision(value >= 100 ? 3 : 4)));
}

function axis(
  text: string,
  x: Scale,
  area: { left: number; right: number; top: number; bottom: number },
): string[] {
  const { left, right, top, bottom } = area;
  return [
    ...x.ticks.flatMap((tick) => [
      element('line', { x1: x.at(tick), x2: x.at(tick), y1: top, y2: bottom, stroke: INK.grid }),
      label(x.at(tick), bottom + 18, tickText(tick), { 'text-anchor': 'middle', fill: INK.soft }),
    ]),
    element('line', { x1: left, x2: left, y1: top, y2: bottom, stroke: INK.axis }),
    label((left + right) / 2, bottom + 42, text, { 'text-anchor': 'middle' }),
  ];
}

function legend({ groups, reference }: BarPlot): string[] {
  const content: string[] = [];
  let x = MARGIN;
  const entry = (mark: string, name: string) => {
    content.push(mark, label(x + 18, 76, name));
    x += 18 + textWidth(name, 12) + 22;
  };
  groups.forEach((name, index) => {
    const fill = PALETTE[index % PALETTE.length];
    entry(element('rect', { x, y: 66, width: 12, height: 12, fill }), name);
  });
  if (reference !== undefined) {
    const line = { x1: x, x2: x + 13, y1: 72, y2: 72, stroke: INK.soft };
    entry(
      element('line', { ...line, 'stroke-width': 1.5, 'stroke-dasharray': '4 3' }),
      reference.name,
    );
  }
  return content;
}
