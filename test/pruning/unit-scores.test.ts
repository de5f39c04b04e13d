import { Random } from '../../ts/common/random.js';
import { svd } from '../../ts/ops/svd.js';
import { ActivationMoments } from '../../ts/pruning/activation-moments.js';
import { RegressionStatistics } from '../../ts/pruning/regression-statistics.js';
import type { ScoreInputs } from '../../ts/pruning/score-inputs.js';
import type { ScoreMetric } from '../../ts/pruning/score-metrics.js';
import { unitScores } from '../../ts/pruning/unit-scores.js';
import { assert, close, test } from '../harness.js';
import {
  columnsOf,
  distance,
  type Matrix,
  product,
  randomMatrix,
  solve,
  tensorOf,
  transposed,
} from './matrices.js';

const tokens = 60;
const inputs = 8;
const random = new Random(11);
const x = randomMatrix(tokens, inputs, random);
const w = randomMatrix(5, inputs, random);
const producers = [randomMatrix(inputs, 3, random), randomMatrix(inputs, 3, random)];
const y = product(x, transposed(w));

function scores(metric: ScoreMetric, width: number, options: Partial<ScoreInputs> = {}) {
  const statistics = new RegressionStatistics();
  statistics.add(tensorOf(x), [tensorOf(y)], false);
  const moments = new ActivationMoments();
  moments.add(tensorOf(x.slice(0, 20)));
  moments.add(tensorOf(x.slice(20)));
  return unitScores(metric, {
    weights: {
      producers: producers.map((weight) => ({ weight: tensorOf(weight) })),
      consumer: { weight: tensorOf(w) },
    },
    rowsPerUnit: [width, width],
    columnsPerUnit: width,
    statistics,
    moments,
    damping: 0,
    blend: 0.5,
    random: new Random(5),
    ...options,
  });
}

function units(width: number): number[][] {
  return Array.from({ length: inputs / width }, (_, unit) =>
    Array.from({ length: width }, (_, i) => unit * width + i),
  );
}

/** vec(Σ_{j in unit} x_j w_jᵀ), by unit, as columns. */
function contributions(width: number): Matrix {
  const columns = units(width).map((unit) =>
    product(columnsOf(x, unit), transposed(columnsOf(w, unit))).flat(),
  );
  return transposed(columns);
}

function leastSquaresError(a: Matrix, b: Matrix): number {
  const normal = product(transposed(a), a);
  return distance(product(a, solve(normal, product(transposed(a), b))), b);
}

test('residual is the error left after removing a unit and re-tuning the mask of the others', async () => {
  for (const width of [1, 2]) {
    const a = contributions(width);
    const expected = units(width).map((_, unit) => {
      const others = units(width)
        .map((_, i) => i)
        .filter((i) => i !== unit);
      // What the others can't give of the removed one's contribution.
      return leastSquaresError(columnsOf(a, others), columnsOf(a, [unit]));
    });
    close(await scores('residual', width), expected, 1e-5);
  }
});

test('reconstruction is the error left after removing a unit and re-solving the consumer', async () => {
  for (const width of [1, 2, 4]) {
    const expected = units(width).map((unit) => {
      const others = Array.from({ length: inputs }, (_, j) => j).filter((j) => !unit.includes(j));
      return leastSquaresError(columnsOf(x, others), y);
    });
    close(await scores('reconstruction', width), expected, 1e-5);
  }
});

test('sensitivity is the component-wise condition number of the mask', async () => {
  for (const width of [1, 2]) {
    const a = contributions(width);
    const total = Math.sqrt(y.flat().reduce((sum, value) => sum + value * value, 0));
    const expected = transposed(a).map(
      (column) => Math.sqrt(column.reduce((sum, value) => sum + value * value, 0)) / total,
    );
    close(await scores('sensitivity', width), expected, 1e-6);
  }
});

test('spectral is the change of the condition number, by brute force', async () => {
  for (const width of [1, 2]) {
    const a = contributions(width);
    const norms = transposed(a).map((column) =>
      Math.sqrt(column.reduce((sum, value) => sum + value * value, 0)),
    );
    const unit = a.map((row) => row.map((value, j) => value / (norms[j] as number)));
    const whole = product(transposed(unit), unit);
    const expected: number[] = [];
    for (const [j] of whole.entries()) {
      const others = whole.map((_, i) => i).filter((i) => i !== j);
      const without = columnsOf(
        others.map((i) => whole[i] as number[]),
        others,
      );
      expected.push(
        Math.abs(Math.log(await condition(without)) - Math.log(await condition(whole))),
      );
    }
    close(await scores('spectral', width), expected, 1e-4);
  }
});

async function condition(matrix: Matrix): Promise<number> {
  const values = (await svd(tensorOf(matrix, 'f64'), { vectors: false }).s.read()) as Float64Array;
  return (values[0] as number) / (values.at(-1) as number);
}

test('blend lies between residual and sensitivity', async () => {
  const [residual, kappa] = [await scores('residual', 1), await scores('sensitivity', 1)];
  close(await scores('blend', 1, { blend: 1 }), residual, 1e-12);
  close(
    await scores('blend', 1, { blend: 0 }),
    kappa.map((value) => value ** 2),
    1e-12,
  );
});

test('magnitude is the norm of all that a unit owns', async () => {
  const expected = units(2).map((unit) => {
    const own = [
      ...columnsOf(w, unit).flat(),
      ...producers.flatMap((p) => unit.flatMap((j) => p[j] as number[])),
    ];
    return Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
  });
  close(await scores('magnitude', 2), expected, 1e-6);
});

test('wanda-sp and flap follow their formulas', async () => {
  const columns = transposed(x);
  const weights = transposed(w);
  const wanda = columns.map((column, j) => {
    const norm = Math.sqrt(column.reduce((sum, value) => sum + value * value, 0));
    return norm * (weights[j] as number[]).reduce((sum, value) => sum + Math.abs(value), 0);
  });
  close(await scores('wanda-sp', 1), wanda, 1e-6);
  const flap = columns.map((column, j) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / tokens;
    const spread = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (tokens - 1);
    return spread * (weights[j] as number[]).reduce((sum, value) => sum + value * value, 0);
  });
  close(await scores('flap', 1), flap, 1e-5);
});

test('random scores depend on the seed alone', async () => {
  assert.equal(await scores('random', 1), await scores('random', 1));
  assert.is((await scores('random', 2)).length, inputs / 2);
});
