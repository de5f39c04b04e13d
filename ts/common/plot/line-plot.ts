import { makeScale, type Scale } from './scale.js';
import { document, element, INK, label, MARGIN, PALETTE, textWidth, tickText } from './svg.js';

/** One line of a plot. */
export interface Series {
  name: string;
  /** Points in drawing order; ones that are not finite (or not positive on a log axis) leave a gap. */
  points: readonly { x: number; y: number }[];
  /** Drawn thicker and above the others. */
  strong?: boolean;
  /** A dot at every point; default true. */
  dots?: boolean;
}

/** What a line plot shows. */
export interface LinePlot {
  title: string;
  subtitle?: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
  logX?: boolean;
  logY?: boolean;
  /** Values of the horizontal axis to put ticks at; default: round numbers. */
  xTicks?: readonly number[];
  /** How tick values of the horizontal axis are written. */
  xFormat?: (value: number) => string;
  /** A horizontal line to compare with. */
  reference?: { y: number; label: string };
  /** Pixels; default 760. */
  width?: number;
  /** Pixels; default 460. */
  height?: number;
}

interface Labelled {
  name: string;
  colour: string;
  strong: boolean;
  /** Where the line ends. */
  y: number;
  /** Where its label stands. */
  place: number;
}

const LABEL_SIZE = 12;
const LABEL_GAP = 15;

/** Lines over two axes as an SVG document; every line carries its name at its right end. */
export function linePlot(plot: LinePlot): string {
  const { width = 760, height = 460, series, reference } = plot;
  const finite = series.map(({ points }) =>
    points.filter(({ x, y }) => fits(x, plot.logX) && fits(y, plot.logY)),
  );
  const all = finite.flat();
  const names = [...series.map(({ name }) => name), ...(reference ? [reference.label] : [])];
  const labelRoom = Math.max(60, ...names.map((name) => textWidth(name, LABEL_SIZE) + 26));
  const area = {
    left: MARGIN + 52,
    right: width - MARGIN - labelRoom,
    top: 70,
    bottom: height - 58,
  };

  const xs = all.map(({ x }) => x);
  const ys = [...all.map(({ y }) => y), ...(reference ? [reference.y] : [])];
  const x = makeScale(extent(xs, plot.logX), [area.left + 12, area.right], {
    log: plot.logX ?? false,
  });
  const y = makeScale(extent(ys, plot.logY), [area.bottom - 8, area.top], {
    log: plot.logY ?? false,
  });

  const colours = series.map((_, index) => PALETTE[index % PALETTE.length] as string);
  const order = series
    .map((one, index) => ({ ...one, index }))
    .sort((a, b) => Number(a.strong ?? false) - Number(b.strong ?? false));
  const lines = order.map(({ index, strong }) =>
    lineOf(series[index] as Series, plot, x, y, colours[index] as string, strong ?? false),
  );
  const labels: Labelled[] = series.flatMap(({ name, strong }, index) => {
    const last = finite[index]?.at(-1);
    if (last === undefined) return [];
    const at = y.at(last.y);
    return [{ name, colour: colours[index] as string, strong: strong ?? false, y: at, place: at }];
  });
  if (reference !== undefined) {
    const at = y.at(reference.y);
    labels.push({ name: reference.label, colour: INK.soft, strong: false, y: at, place: at });
  }
  return document({ width, height, title: plot.title, subtitle: plot.subtitle }, [
    ...axes(plot, area, x, y),
    ...(reference === undefined ? [] : [referenceLine(area, y.at(reference.y))]),
    ...lines,
    ...spread(labels, area.top, area.bottom).map((one) => labelOf(one, area.right)),
  ]);
}

function fits(value: number, log: boolean | undefined): boolean {
  return Number.isFinite(value) && (log !== true || value > 0);
}

function extent(values: readonly number[], log: boolean | undefined): [number, number] {
  if (values.length === 0) return log === true ? [1, 10] : [0, 1];
  return [Math.min(...values), Math.max(...values)];
}

interface Area {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function axes(plot: LinePlot, area: Area, x: Scale, y: Scale): string[] {
  const format = plot.xFormat ?? tickText;
  const middle = (area.top + area.bottom) / 2;
  return [
    ...y.ticks.flatMap((tick) => [
      element('line', {
        x1: area.left,
        x2: area.right,
        y1: y.at(tick),
        y2: y.at(tick),
        stroke: INK.grid,
      }),
      label(area.left - 8, y.at(tick) + 4, tickText(tick), {
        'text-anchor': 'end',
        fill: INK.soft,
      }),
    ]),
    ...(plot.xTicks ?? x.ticks).flatMap((tick) => [
      element('line', {
        x1: x.at(tick),
        x2: x.at(tick),
        y1: area.bottom,
        y2: area.bottom + 5,
        stroke: INK.axis,
      }),
      label(x.at(tick), area.bottom + 20, format(tick), {
        'text-anchor': 'middle',
        fill: INK.soft,
      }),
    ]),
    element('line', {
      x1: area.left,
      x2: area.right,
      y1: area.bottom,
      y2: area.bottom,
      stroke: INK.axis,
    }),
    label((area.left + area.right) / 2, area.bottom + 42, plot.xLabel, { 'text-anchor': 'middle' }),
    label(MARGIN + 2, middle, plot.yLabel, {
      'text-anchor': 'middle',
      transform: `rotate(-90 ${MARGIN + 2} ${middle})`,
    }),
  ];
}

function referenceLine(area: Area, y: number): string {
  return element('line', {
    x1: area.left,
    x2: area.right,
    y1: y,
    y2: y,
    stroke: INK.soft,
    'stroke-dasharray': '4 4',
  });
}

function lineOf(
  { points, name, dots: dotted = true }: Series,
  plot: LinePlot,
  x: Scale,
  y: Scale,
  colour: string,
  strong: boolean,
): string {
  let path = '';
  let pen = false;
  const dots: string[] = [];
  for (const point of points) {
    if (!fits(point.x, plot.logX) || !fits(point.y, plot.logY)) {
      pen = false;
      continue;
    }
    const [px, py] = [x.at(point.x), y.at(point.y)];
    path += `${pen ? 'L' : 'M'}${px.toFixed(2)} ${py.toFixed(2)}`;
    pen = true;
    if (!dotted) continue;
    const title = element('title', {}, `${name.replace(/[&<>]/g, ' ')}: ${tickText(point.y)}`);
    dots.push(element('circle', { cx: px, cy: py, r: strong ? 4 : 3, fill: colour }, title));
  }
  if (path === '') return '';
  const stroke = { fill: 'none', stroke: colour, 'stroke-width': strong ? 3 : 1.75 };
  return [element('path', { d: path, ...stroke, 'stroke-linejoin': 'round' }), ...dots].join('\n');
}

/** Moves labels apart so that none covers another, keeping their order. */
function spread(labels: readonly Labelled[], top: number, bottom: number): Labelled[] {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  let floor = top;
  for (const one of sorted) {
    one.place = Math.max(one.y, floor);
    floor = one.place + LABEL_GAP;
  }
  let ceiling = bottom;
  for (const one of sorted.reverse()) {
    one.place = Math.min(one.place, ceiling);
    ceiling = one.place - LABEL_GAP;
  }
  return sorted;
}

function labelOf({ name, colour, strong, y, place }: Labelled, right: number): string {
  const leader = element('path', {
    d: `M${right + 6} ${y.toFixed(2)}L${right + 18} ${place.toFixed(2)}`,
    stroke: colour,
    fill: 'none',
    'stroke-opacity': 0.6,
  });
  const weight = strong ? 700 : 400;
  return `${leader}\n${label(right + 22, place + 4, name, { fill: colour, 'font-size': LABEL_SIZE, 'font-weight': weight })}`;
}
