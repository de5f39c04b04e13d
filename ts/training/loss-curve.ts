import { linePlot, type Series } from '../common/plot/line-plot.js';
import type { Metrics } from './metrics-log.js';
import { SmoothedLoss } from './smoothed-loss.js';

/** Points that a line is drawn with at most. */
const MAX_POINTS = 240;

/**
 * The loss over the steps as an SVG document: as measured (means over neighbouring steps in a long
 * training), smoothed, and on held-out data where it was measured.
 * @param metrics lines of a metrics file; `loss` and `evalLoss` are drawn
 */
export function lossCurve(
  metrics: readonly Metrics[],
  { title = 'Training loss', subtitle }: { title?: string; subtitle?: string } = {},
): string {
  const losses = pointsOf(metrics, 'loss');
  const smoother = new SmoothedLoss();
  const smooth = losses.map(({ x, y }) => ({ x, y: smoother.add(y) }));
  const heldOut = pointsOf(metrics, 'evalLoss');
  const series: Series[] = [
    { name: 'loss', points: thin(losses), dots: false },
    { name: 'smoothed', points: thin(smooth), strong: true, dots: false },
    ...(heldOut.length === 0 ? [] : [{ name: 'held out', points: thin(heldOut) }]),
  ];
  return linePlot({
    title,
    ...(subtitle === undefined ? {} : { subtitle }),
    xLabel: 'optimiser steps',
    yLabel: 'loss, nats',
    series,
  });
}

function pointsOf(metrics: readonly Metrics[], name: string): { x: number; y: number }[] {
  return metrics.flatMap(({ step, [name]: value }) =>
    typeof value === 'number' && Number.isFinite(value) ? [{ x: step, y: value }] : [],
  );
}

/** Means of neighbours, so that few enough points are left. */
function thin(points: readonly { x: number; y: number }[]): { x: number; y: number }[] {
  const width = Math.ceil(points.length / MAX_POINTS);
  const thinned: { x: number; y: number }[] = [];
  for (let i = 0; i < points.length; i += width) {
    const group = points.slice(i, i + width);
    const mean = (of: 'x' | 'y') => group.reduce((sum, point) => sum + point[of], 0) / group.length;
    thinned.push({ x: mean('x'), y: mean('y') });
  }
  return thinned;
}
