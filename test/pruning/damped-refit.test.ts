import { Random } from '../../ts/common/random.js';
import { cast } from '../../ts/ops/cast.js';
import { refitWeights } from '../../ts/pruning/damped-refit.js';
import { RegressionStatistics } from '../../ts/pruning/regression-statistics.js';
import { assert, close, test } from '../harness.js';
import { distance, type Matrix, product, randomMatrix, tensorOf, transposed } from './matrices.js';

const random = new Random(7);

/** Student inputs x, wanted outputs of another weight on them, and held-out rows of the same kind. */
function problem(noise = 0) {
  const truth = randomMatrix(4, 6, random);
  const rows = (count: number) => {
    const x = randomMatrix(count, 6, random);
    const y = product(x, transposed(truth)).map((row) =>
      row.map((value) => Math.fround(value + noise * random.normal())),
    );
    return { x, y };
  };
  return { truth, training: rows(200), held: rows(40) };
}

function statisticsOf(training: { x: Matrix; y: Matrix }, held?: { x: Matrix; y: Matrix }) {
  const statistics = new RegressionStatistics();
  const half = training.x.length / 2;
  for (const [from, to] of [
    [0, half],
    [half, training.x.length],
  ]) {
    const x = tensorOf(training.x.slice(from, to));
    statistics.add(x, [tensorOf(training.y.slice(from, to))], false);
  }
  if (held !== undefined) statistics.add(tensorOf(held.x), [tensorOf(held.y)], true);
  return statistics;
}

const options = { dampings: [1e-6, 1e-2, 1], useHeldOut: false };

test('a weight is re-solved to what gives the wanted outputs', async () => {
  const { truth, training, held } = problem();
  const wrong = tensorOf(randomMatrix(4, 6, random));
  const [refit] = await refitWeights([wrong], statisticsOf(training, held), options);
  assert.is(refit?.damping, 1e-6);
  close((await refit?.weight?.read()) as Float32Array, truth.flat(), 1e-4);
});

test('a weight that is right already stays', async () => {
  const { truth, training, held } = problem();
  const [refit] = await refitWeights([tensorOf(truth)], statisticsOf(training, held), {
    ...options,
    dampings: [1e-2],
  });
  const error =
    refit?.weight === undefined
      ? 0
      : distance([[...(await refit.weight.read())].map(Number)], [truth.flat()]);
  assert.ok(error < 1e-9);
});

test('a solution that is worse on held-out rows is rejected', async () => {
  const { truth, held } = problem();
  const misleading = problem();
  const statistics = statisticsOf(misleading.training, held);
  const [refit] = await refitWeights([tensorOf(truth)], statistics, options);
  assert.is(refit?.weight, undefined);
  assert.is(refit?.errorRatio, 1);
});

test('the held-out rows decide on the damping', async () => {
  // Fewer rows than inputs: the less damping, the more the solution follows their noise.
  const { truth, training, held } = problem(3);
  const few = { x: training.x.slice(0, 8), y: training.y.slice(0, 8) };
  const near = tensorOf(truth.map((row) => row.map((value) => Math.fround(value + 0.01))));
  const dampings = [1e-6, 1e-3, 10, 100];
  const [refit] = await refitWeights([near], statisticsOf(few, held), {
    dampings,
    useHeldOut: false,
  });
  assert.ok(refit?.damping === undefined || refit.damping >= 10, String(refit?.damping));
});

test('without held-out rows the middle damping is taken', async () => {
  const { training } = problem();
  const wrong = tensorOf(randomMatrix(4, 6, random));
  const [refit] = await refitWeights([wrong], statisticsOf(training), options);
  assert.is(refit?.damping, 1e-2);
});

test('the held-out rows join the last solve when asked to', async () => {
  const { truth, training, held } = problem(0.5);
  const few = { x: training.x.slice(0, 20), y: training.y.slice(0, 20) };
  const wrong = randomMatrix(4, 6, random);
  const error = async (useHeldOut: boolean) => {
    const [refit] = await refitWeights([tensorOf(wrong)], statisticsOf(few, held), {
      ...options,
      useHeldOut,
    });
    return distance([[...((await refit?.weight?.read()) ?? [])].map(Number)], [truth.flat()]);
  };
  assert.ok((await error(true)) < (await error(false)));
});

test('the result has the dtype of the weight', async () => {
  const { training, held } = problem();
  const wrong = cast(tensorOf(randomMatrix(4, 6, random)), 'bf16');
  const [refit] = await refitWeights([wrong], statisticsOf(training, held), options);
  assert.is(refit?.weight?.dtype, 'bf16');
});

test('a damping that leaves the Gram matrix singular is passed over', async () => {
  const { training, held } = problem();
  const flat = (m: Matrix) => m.map((row) => [...row.slice(0, 5), row[0] as number]);
  const statistics = statisticsOf(
    { ...training, x: flat(training.x) },
    { ...held, x: flat(held.x) },
  );
  const [refit] = await refitWeights([tensorOf(randomMatrix(4, 6, random))], statistics, {
    dampings: [0, 1e-3],
    useHeldOut: true,
  });
  assert.ok(refit?.weight !== undefined);
});
