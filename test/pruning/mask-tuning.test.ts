import { Random } from '../../ts/common/random.js';
import { foldMask, maskGram, tuneMask } from '../../ts/pruning/mask-tuning.js';
import { RegressionStatistics } from '../../ts/pruning/regression-statistics.js';
import { gram } from '../../ts/ops/gram.js';
import { assert, close, test } from '../harness.js';
import { columnsOf, distance, product, randomMatrix, tensorOf, transposed } from './matrices.js';

const random = new Random(3);

/** Inputs X, weights W and target Y = X Wᵀ + noise. */
function problem(tokens: number, inputs: number, outputs: number) {
  const x = randomMatrix(tokens, inputs, random);
  const w = randomMatrix(outputs, inputs, random);
  const y = product(x, transposed(w));
  return { x, w, y };
}

function statisticsOf(x: number[][], y: number[][]): RegressionStatistics {
  const statistics = new RegressionStatistics();
  statistics.add(tensorOf(x), [tensorOf(y)], false);
  return statistics;
}

test('H is the Gram matrix of the vectors that the output is the sum of', async () => {
  const { x, w, y } = problem(7, 5, 3);
  // a_j = vec(x_j w_jᵀ), as the columns of A.
  const a = transposed(
    w[0]?.map((_, j) =>
      x.flatMap((row) => w.map((out) => (row[j] as number) * (out[j] as number))),
    ) ?? [],
  );
  const expected = product(transposed(a), a);
  const h = await maskGram(gram(tensorOf(x)), tensorOf(w)).read();
  close(h as Float64Array, expected.flat(), 1e-6);
  const sums = expected.map((row) => row.reduce((sum, value) => sum + value, 0));
  const projected = product(
    transposed(a),
    y.flat().map((value) => [value]),
  );
  close(sums, projected.flat(), 1e-6);
});

test('a tuned mask is nearer to the target than the binary one, whatever the damping', async () => {
  for (const damping of [1e-6, 1e-2, 1, 100]) {
    const { x, w, y } = problem(40, 12, 6);
    const kept = [0, 2, 3, 5, 6, 8, 9, 11];
    const [xk, wk] = [columnsOf(x, kept), columnsOf(w, kept)];
    const mask = await tuneMask(tensorOf(wk), statisticsOf(xk, y), { damping, limit: 1e9 });
    assert.ok(mask !== undefined);
    const tuned = wk.map((row) => row.map((value, j) => value * (mask?.values[j] as number)));
    const after = distance(product(xk, transposed(tuned)), y);
    const before = distance(product(xk, transposed(wk)), y);
    assert.ok(after <= before * (1 + 1e-9), `damping ${damping}: ${after} > ${before}`);
  }
});

test('with all columns and their own output the tuned mask is one', async () => {
  const { x, w, y } = problem(40, 6, 5);
  const mask = await tuneMask(tensorOf(w), statisticsOf(x, y), { damping: 1e-2, limit: 10 });
  close(mask?.values ?? [], [1, 1, 1, 1, 1, 1], 1e-6);
  assert.ok((mask?.variance as number) < 1e-12);
});

test('a mask beyond the limit is rejected', async () => {
  const { x, w, y } = problem(40, 6, 5);
  const loud = y.map((row) => row.map((value) => value * 20));
  const options = { damping: 1e-6, limit: 10 };
  assert.is(await tuneMask(tensorOf(w), statisticsOf(x, loud), options), undefined);
});

test('a folded mask gives what the masked product gives', async () => {
  const { x, w, y } = problem(30, 6, 4);
  const values = Float64Array.from([0.5, 1, 1.5, 0.25, 2, 0.75]);
  const statistics = statisticsOf(x, y);
  const folded = await foldMask(tensorOf(w), statistics, { values, variance: 0 });
  const expected = w.map((row) => row.map((value, j) => value * (values[j] as number)));
  close((await folded?.weight.read()) as Float32Array, expected.flat(), 1e-7);
});

test('a mask that is worse on held-out rows is not folded', async () => {
  const { x, w, y } = problem(30, 6, 4);
  const statistics = statisticsOf(x, y);
  statistics.add(tensorOf(x), [tensorOf(y)], true);
  const values = Float64Array.from([0.5, 1, 1.5, 0.25, 2, 0.75]);
  assert.is(await foldMask(tensorOf(w), statistics, { values, variance: 0 }), undefined);
});
