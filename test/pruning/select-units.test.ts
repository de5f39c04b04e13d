import { Random } from '../../ts/common/random.js';
import { RegressionStatistics } from '../../ts/pruning/regression-statistics.js';
import { highest, type Selection, selectUnits } from '../../ts/pruning/select-units.js';
import { assert, close, test } from '../harness.js';
import { columnsOf, product, randomMatrix, tensorOf, transposed } from './matrices.js';

const random = new Random(2);
const mask = { damping: 1e-2, limit: 10 };

function statisticsOf(x: number[][], y: number[][]): RegressionStatistics {
  const statistics = new RegressionStatistics();
  statistics.add(tensorOf(x), [tensorOf(y)], false);
  return statistics;
}

test('the highest scores stay, the earlier of equal ones, and never what is not a number', () => {
  assert.equal(highest(Float64Array.from([3, 1, 3, 2]), 2), [0, 2]);
  assert.equal(highest(Float64Array.from([1, 1, 1]), 2), [0, 1]);
  assert.equal(highest(Float64Array.from([Number.NaN, 1, Number.NaN, 0]), 2), [1, 3]);
});

test('units go with all their columns, and the statistics go with them', async () => {
  const x = randomMatrix(20, 6, random);
  const w = randomMatrix(3, 6, random);
  const selection = await selectUnits(tensorOf(w), statisticsOf(x, product(x, transposed(w))), {
    columnsPerUnit: 2,
    target: 2,
    increment: 1,
    mask,
    score: async ({ kept }) => Float64Array.from(kept, (unit) => (unit === 1 ? 0 : unit + 1)),
  });
  assert.equal(selection.kept, [0, 2]);
  const columns = [0, 1, 4, 5];
  close((await selection.consumer.read()) as Float32Array, columnsOf(w, columns).flat(), 0);
  const xk = columnsOf(x, columns);
  const gram = (await selection.statistics.gram?.read()) as Float64Array;
  close(gram, product(transposed(xk), xk).flat(), 1e-6);
});

test('scores are asked for again after every increment', async () => {
  const x = randomMatrix(20, 10, random);
  const w = randomMatrix(3, 10, random);
  const seen: number[] = [];
  await selectUnits(tensorOf(w), statisticsOf(x, product(x, transposed(w))), {
    columnsPerUnit: 1,
    target: 4,
    increment: 2,
    mask,
    score: async ({ kept }: Selection) => {
      seen.push(kept.length);
      return Float64Array.from(kept);
    },
  });
  assert.equal(seen, [10, 8, 6]);
});

test('a block stops before its tuned mask varies too much', async () => {
  const x = randomMatrix(40, 10, random);
  const w = randomMatrix(3, 10, random);
  const y = product(x, transposed(w));
  const select = (maxMaskVariance: number) =>
    selectUnits(tensorOf(w), statisticsOf(x, y), {
      columnsPerUnit: 1,
      target: 2,
      increment: 4,
      maxMaskVariance,
      mask,
      score: async ({ kept }) => Float64Array.from(kept),
    });
  assert.is((await select(0)).kept.length, 10);
  assert.is((await select(1e9)).kept.length, 2);
  const between = await select(0.02);
  assert.ok(between.kept.length > 2, String(between.kept.length));
  assert.ok((between.maskVariance ?? 0) <= 0.02);
});
