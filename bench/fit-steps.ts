/** Seconds of a training step that only trains the last layers. */
export interface DepthTime {
  /** Trained layers. */
  depth: number;
  /** What lies below them was kept. */
  kept: boolean;
  seconds: number;
}

/** What a step is made of, in seconds. */
export interface StepParts {
  /** Head, embedding, optimiser: whatever the depth. */
  rest: number;
  /** Forward of one layer. */
  forward: number;
  /** Backward of one layer. */
  backward: number;
}

/** The seconds that the parts of a step add up to. */
export function stepSeconds(
  { rest, forward, backward }: StepParts,
  layers: number,
  { depth, kept }: Omit<DepthTime, 'seconds'>,
): number {
  return rest + (kept ? depth : layers) * forward + depth * backward;
}

/**
 * The parts that explain all measurements best: least squares of relative errors. Two depths, one of
 * them with and without what is kept, are enough to tell the three apart.
 * @param layers of the whole model
 */
export function fitSteps(times: readonly DepthTime[], layers: number): StepParts {
  const rows = times.map(({ depth, kept, seconds }) =>
    [1, kept ? depth : layers, depth].map((factor) => factor / seconds),
  );
  // Normal equations, solved by Cramer's rule: relative to the measured seconds, every right side is 1.
  const sum = (i: number, j: number) =>
    rows.reduce((total, row) => total + (row[i] as number) * (row[j] as number), 0);
  const matrix = [0, 1, 2].map((i) => [0, 1, 2].map((j) => sum(i, j)));
  const right = [0, 1, 2].map((i) => rows.reduce((total, row) => total + (row[i] as number), 0));
  const whole = determinant(matrix);
  const [rest, forward, backward] = [0, 1, 2].map(
    (column) =>
      determinant(
        matrix.map((row, i) =>
          row.map((value, j) => (j === column ? (right[i] as number) : value)),
        ),
      ) / whole,
  ) as [number, number, number];
  return { rest, forward, backward };
}

function determinant(m: readonly (readonly number[])[]): number {
  const [[a, b, c], [d, e, f], [g, h, i]] = m as [
    [number, number, number],
    [number, number, number],
    [number, number, number],
  ];
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}
