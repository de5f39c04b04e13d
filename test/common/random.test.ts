import { Random } from '../../ts/common/random.js';
import { assert, fails, test } from '../harness.js';

test('the same seed gives the same sequence, another seed another one', () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => random.uint32());
  };
  assert.equal(draw(7), draw(7));
  const starts = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 52].map((seed) => draw(seed).join());
  assert.is(new Set(starts).size, starts.length);
});

test('integers are uniform: no bucket strays more than six standard deviations', () => {
  const random = new Random(1);
  for (const n of [2, 7, 100]) {
    const counts = new Array<number>(n).fill(0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const value = random.integer(n);
      counts[value] = (counts[value] ?? Number.NaN) + 1;
    }
    const deviation = Math.sqrt((draws / n) * (1 - 1 / n));
    for (const count of counts) assert.ok(Math.abs(count - draws / n) < 6 * deviation);
  }
});

test('normal numbers have mean 0 and variance 1', () => {
  const random = new Random(3);
  let sum = 0;
  let squares = 0;
  const n = 50_000;
  for (let i = 0; i < n; i++) {
    const x = random.normal();
    sum += x;
    squares += x * x;
  }
  assert.ok(Math.abs(sum / n) < 5 / Math.sqrt(n));
  assert.ok(Math.abs(squares / n - 1) < 5 * Math.sqrt(2 / n));
});

test('a sample has distinct ascending members, and a shuffle keeps its members', () => {
  const random = new Random(5);
  for (const [n, count] of [
    [10, 10],
    [10, 0],
    [1000, 30],
  ] as const) {
    const sample = random.sample(n, count);
    assert.is(sample.length, count);
    assert.is(new Set(sample).size, count);
    assert.equal(
      sample,
      sample.toSorted((x, y) => x - y),
    );
    assert.ok(sample.every((x) => x >= 0 && x < n));
  }
  const items = Array.from({ length: 100 }, (_, i) => i);
  const shuffled = random.shuffle([...items]);
  assert.not.equal(shuffled, items);
  assert.equal(
    shuffled.toSorted((x, y) => x - y),
    items,
  );
});

test('seeds and bounds out of range are refused', async () => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) await fails(() => new Random(seed), 'CONFIG');
  const random = new Random(0);
  for (const n of [0, -1, 1.5, 2 ** 33]) await fails(() => random.integer(n), 'CONFIG');
  await fails(() => random.sample(3, 4), 'CONFIG');
});
