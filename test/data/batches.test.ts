import { Batches } from '../../ts/data/batches.js';
import { collate } from '../../ts/data/collate.js';
import type { Sample, SampleSource } from '../../ts/data/sample.js';
import { concatSources, IGNORED } from '../../ts/data/sample.js';
import { SeededPermutation } from '../../ts/data/seeded-permutation.js';
import { assert, fails, test } from '../harness.js';

/** Samples that tell their number; lengths vary. */
function numbered(count: number, base = 0): SampleSource {
  const length = (number: number) => 1 + ((number * 7919) % 50);
  return {
    count,
    skippedRows: 0,
    read: async (numbers) =>
      numbers.map((number) => ({
        inputIds: new Int32Array(length(number)).fill(base + number),
        labels: new Int32Array(length(number)).fill(base + number),
      })),
    dispose: async () => {},
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('a seeded permutation has every number once, differs by seed, and is the same again', () => {
  for (const size of [0, 1, 2, 3, 5, 16, 17, 1000, 4097]) {
    const order = new SeededPermutation(size, 5);
    const values = Array.from({ length: size }, (_, i) => order.at(i));
    assert.equal(
      [...values].sort((x, y) => x - y),
      Array.from({ length: size }, (_, i) => i),
    );
  }
  const [first, again, other] = [1, 1, 2].map((seed) => new SeededPermutation(10_000, seed));
  let same = 0;
  let fixed = 0;
  let neighbours = 0;
  for (let i = 0; i < 10_000; i++) {
    assert.is(first!.at(i), again!.at(i));
    if (first!.at(i) === other!.at(i)) same++;
    if (first!.at(i) === i) fixed++;
    if (i > 0 && Math.abs(first!.at(i) - first!.at(i - 1)) === 1) neighbours++;
  }
  assert.ok(same < 10 && fixed < 10 && neighbours < 15, `${same} ${fixed} ${neighbours}`);
  assert.ok(new SeededPermutation(2 ** 47 + 3, 1).at(2 ** 46) < 2 ** 47 + 3);
});

test('every place of a permutation gets every number equally often', () => {
  const size = 6;
  const counts = Array.from({ length: size }, () => new Array(size).fill(0));
  for (let seed = 0; seed < 6000; seed++) {
    const order = new SeededPermutation(size, seed);
    for (let i = 0; i < size; i++) counts[i]![order.at(i)]++;
  }
  // 1000 expected; a standard deviation is 29.
  for (const row of counts) for (const n of row) assert.ok(n > 850 && n < 1150, `${n}`);
});

test('samples are padded to the longest, with masks, labels and types', () => {
  const samples: Sample[] = [
    { inputIds: Int32Array.of(5, 6, 7), labels: Int32Array.of(IGNORED, 6, 7) },
    {
      inputIds: Int32Array.of(8),
      labels: Int32Array.of(8),
      typeIds: Uint8Array.of(1),
    },
  ];
  const batch = collate(samples, [3, 4], 9);
  assert.equal([...batch.inputIds], [5, 6, 7, 8, 9, 9]);
  assert.equal([...batch.attentionMask], [1, 1, 1, 1, 0, 0]);
  assert.equal([...batch.labels], [-100, 6, 7, 8, -100, -100]);
  assert.equal([...batch.typeIds!], [0, 0, 0, 1, 0, 0]);
  assert.equal([batch.batch, batch.sequence, batch.tokens], [2, 3, 4]);
  const classes = collate([{ inputIds: Int32Array.of(1), labels: 2 }], [0]);
  assert.equal([...classes.labels], [2]);
  assert.is(classes.typeIds, undefined);
});

test('a pass has every sample once, in batches of like lengths, in an order of its own', async () => {
  const batches = new Batches(numbered(1003), { batchSize: 8, seed: 4, bucketBatches: 16 });
  assert.is(batches.perEpoch, 126);
  const passes = await Promise.all([0, 1].map((epoch) => collect(batches.epoch(epoch))));
  for (const pass of passes) {
    assert.is(pass.length, 126);
    const seen = pass.flatMap(({ samples }) => [...samples]).sort((x, y) => x - y);
    assert.equal(
      seen,
      Array.from({ length: 1003 }, (_, i) => i),
    );
    let places = 0;
    let tokens = 0;
    for (const batch of pass) {
      places += batch.batch * batch.sequence;
      tokens += batch.tokens;
      assert.equal(batch.inputIds[0], batch.samples[0]);
    }
    assert.ok(tokens / places > 0.9, `${tokens} tokens in ${places} places`);
  }
  assert.not.equal(passes[0]![0]!.samples, passes[1]![0]!.samples);
});

test('a pass taken up at any batch goes on with the same ones', async () => {
  const options = { batchSize: 4, seed: 9, bucketBatches: 5 };
  const whole = await collect(new Batches(numbered(101), options).epoch(3));
  for (const first of [0, 1, 4, 5, 13, 25, 26]) {
    const rest = await collect(new Batches(numbered(101), options).epoch(3, first));
    assert.equal(rest, whole.slice(first));
  }
});

test('without shuffling and buckets the order stays', async () => {
  const batches = new Batches(numbered(10), { batchSize: 4, shuffle: false, bucketBatches: 1 });
  const samples = (await collect(batches.epoch(0))).map((batch) => batch.samples);
  assert.equal(samples, [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9],
  ]);
});

test('a pass that is left early, or whose source fails, ends cleanly', async () => {
  for await (const batch of new Batches(numbered(100), { batchSize: 1, bucketBatches: 2 }).epoch(
    0,
  )) {
    assert.is(batch.batch, 1);
    break;
  }
  const broken: SampleSource = {
    ...numbered(100),
    read: async (numbers) => {
      if (numbers.includes(7)) throw new Error('disk on fire');
      return numbered(100).read(numbers);
    },
  };
  const options = { batchSize: 2, bucketBatches: 1, shuffle: false };
  let seen = 0;
  try {
    for await (const _ of new Batches(broken, options).epoch(0)) seen++;
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /disk on fire/);
  }
  assert.is(seen, 3);
});

test('sources one after the other are one', async () => {
  const source = concatSources([numbered(3), numbered(0), numbered(4, 100)]);
  assert.is(source.count, 7);
  const ids = (await source.read([6, 0, 3, 2])).map(({ inputIds }) => inputIds[0]);
  assert.equal(ids, [103, 0, 100, 2]);
});

test('no samples and sizes out of range are refused', async () => {
  await fails(() => new Batches(numbered(0), { batchSize: 1 }), 'CONFIG');
  await fails(() => new Batches(numbered(2), { batchSize: 0 }), 'CONFIG');
  await fails(() => new SeededPermutation(-1, 0), 'CONFIG');
});
