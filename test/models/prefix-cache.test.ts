import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import type { Classifier } from '../../ts/models/classifier.js';
import { createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadClassifier } from '../../ts/models/load-classifier.js';
import { PrefixCache } from '../../ts/models/prefix-cache.js';
import type { TokenBatch } from '../../ts/models/token-batch.js';
import type { AdapterSet } from '../../ts/nn/adapter-set.js';
import { noGrad } from '../../ts/nn/no-grad.js';
import { native } from '../../ts/native/addon.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, close, test } from '../harness.js';

const root = fileURLToPath(new URL('../fixtures/conformance', import.meta.url));
const MODELS = ['bert-classifier', 'roberta-classifier', 'distilbert-classifier', 'llama-gqa'];

/** Adapters on layers from `first` on that change something. */
function adapters(model: Classifier, first: number, dropout = 0): AdapterSet {
  const paths = [...model.linears.keys()];
  const layers = new Set(paths.map((path) => Number(/\.(\d+)\./.exec(path)?.[1])));
  const config = makeAdapterConfig({
    r: 2,
    loraAlpha: 4,
    loraDropout: dropout,
    targetModules: [...new Set(paths.map((path) => path.split('.').at(-1) as string))],
    layersToTransform: [...layers].filter((layer) => layer >= first),
  });
  const set = createAdapterSet(model, config, 1);
  const random = new Random(2);
  for (const { b } of set.adapters.values()) {
    const values = Float32Array.from({ length: b.size }, () => 0.1 * random.normal());
    b.value.copyFrom(Tensor.from(values, b.value.shape));
  }
  return set;
}

/** Sequences of these lengths, padded behind; the same seeds are the same sequences. */
function padded(seeds: readonly number[], lengths: readonly number[], padId: number): TokenBatch {
  const sequence = Math.max(...lengths);
  const inputIds = new Int32Array(seeds.length * sequence).fill(padId);
  const attentionMask = new Uint8Array(inputIds.length);
  for (const [row, seed] of seeds.entries()) {
    const random = new Random(seed);
    for (let i = 0; i < (lengths[row] as number); i++) {
      inputIds[row * sequence + i] = 5 + random.integer(20);
      attentionMask[row * sequence + i] = 1;
    }
  }
  const labels = Int32Array.from(seeds, (seed) => seed % 2);
  return { inputIds, attentionMask, labels, batch: seeds.length, sequence };
}

async function lossAndGradients(model: Classifier, batch: TokenBatch, dropoutSeed?: number) {
  const loss = model.loss(batch, dropoutSeed === undefined ? {} : { dropoutSeed });
  loss.backward();
  const values = [((await loss.read()) as Float32Array)[0] as number];
  loss.dispose();
  const gradients: number[] = [];
  for (const [, parameter] of model.trainableParameters()) {
    const gradient = (await parameter.grad?.read()) as Float32Array;
    gradients.push(...gradient);
    parameter.zeroGrad();
  }
  return { loss: values, gradients };
}

for (const name of MODELS) {
  const load = () =>
    loadClassifier(join(root, name), {
      numLabels: 2,
      ...(name.startsWith('llama') ? {} : { hiddenDropout: 0 }),
    });
  const padId = name.startsWith('roberta') ? 1 : 0;

  test(`${name}: kept prefixes change neither loss nor gradients, whatever the padding`, async () => {
    const model = await load();
    const set = adapters(model, 1);
    model.adapter = set;
    const batch = padded([1, 2, 3], [4, 9, 6], padId);
    const plain = await lossAndGradients(model, batch);
    const cache = new PrefixCache(1e6);
    model.prefixCache = cache;
    const first = await lossAndGradients(model, batch);
    assert.equal([cache.statistics.hits, cache.statistics.misses], [0, 3]);
    const again = await lossAndGradients(model, batch);
    assert.equal([cache.statistics.hits, cache.statistics.misses], [3, 3]);
    assert.equal(again, first);
    close(first.loss, plain.loss, 1e-5);
    close(first.gradients, plain.gradients, 1e-4);
    // Another width of padding, another order, and one sample more.
    const other = padded([3, 1, 4], [6, 4, 12], padId);
    const kept = await lossAndGradients(model, other);
    assert.equal([cache.statistics.hits, cache.statistics.misses], [5, 4]);
    model.prefixCache = undefined;
    const wanted = await lossAndGradients(model, other);
    close(kept.loss, wanted.loss, 1e-5);
    cache.dispose();
    set.dispose();
    model.dispose();
  });
}

test('what is kept does not depend on the batch in which a sample came first', async () => {
  const model = await loadClassifier(join(root, 'bert-classifier'), { hiddenDropout: 0 });
  const set = adapters(model, 2);
  model.adapter = set;
  const results: unknown[] = [];
  for (const seeds of [[1], [2, 3, 1, 4], [1, 2, 5, 6, 7, 8, 9]]) {
    const cache = new PrefixCache(1e6);
    model.prefixCache = cache;
    await lossAndGradients(
      model,
      padded(
        seeds,
        seeds.map((seed) => 3 + seed),
        0,
      ),
    );
    results.push(await lossAndGradients(model, padded([1], [4], 0)));
    assert.is(cache.statistics.misses, seeds.length);
    cache.dispose();
  }
  assert.equal(results[1], results[0]);
  assert.equal(results[2], results[0]);
  set.dispose();
  model.dispose();
});

test('what dropout changes in every step is never kept', async () => {
  const model = await loadClassifier(join(root, 'bert-classifier'), { hiddenDropout: 0.1 });
  const set = adapters(model, 1, 0.2);
  model.adapter = set;
  const batch = padded([1, 2], [5, 8], 0);
  const plain = await lossAndGradients(model, batch, 7);
  const cache = new PrefixCache(1e6);
  model.prefixCache = cache;
  assert.equal(await lossAndGradients(model, batch, 7), plain);
  assert.is(cache.statistics.misses, 0);
  // Without dropout, as in an evaluation, the same layers can be kept.
  await lossAndGradients(model, batch);
  assert.is(cache.statistics.misses, 2);
  cache.dispose();
  set.dispose();
  model.dispose();
});

test("adapters' own dropout stands above the prefix and stays", async () => {
  const model = await loadClassifier(join(root, 'llama-gqa'), { numLabels: 2 });
  const set = adapters(model, 1, 0.3);
  model.adapter = set;
  const batch = padded([1, 2], [5, 8], 0);
  const plain = await lossAndGradients(model, batch, 7);
  const cache = new PrefixCache(1e6);
  model.prefixCache = cache;
  const kept = await lossAndGradients(model, batch, 7);
  close(kept.loss, plain.loss, 1e-5);
  assert.not.equal((await lossAndGradients(model, batch, 8)).loss, kept.loss);
  cache.dispose();
  set.dispose();
  model.dispose();
});

test('layers that are trained are not kept, not even by an evaluation', async () => {
  for (const name of MODELS) {
    const model = await loadClassifier(join(root, name), { trainable: true, numLabels: 2 });
    model.trainAll();
    const cache = new PrefixCache(1e6);
    model.prefixCache = cache;
    const batch = padded([1, 2], [5, 8], 0);
    noGrad(() => model.loss(batch)).dispose();
    assert.is(cache.statistics.misses, 0, name);
    cache.dispose();
    model.dispose();
  }
});

test('a full cache keeps what it has, and streams of another depth make room', async () => {
  const model = await loadClassifier(join(root, 'bert-classifier'), { hiddenDropout: 0 });
  const [low, high] = [adapters(model, 1), adapters(model, 2)];
  const { hiddenSize } = model.config;
  const before = native().memory().tensors;
  const cache = new PrefixCache(4 * hiddenSize * 12);
  model.prefixCache = cache;
  const run = (seeds: readonly number[]) => {
    const batch = padded(
      seeds,
      seeds.map(() => 5),
      0,
    );
    noGrad(() => model.loss(batch)).dispose();
    return cache.statistics;
  };
  model.adapter = low;
  assert.equal(run([1, 2, 3]), { bytes: 4 * hiddenSize * 10, samples: 2, hits: 0, misses: 3 });
  assert.equal(run([1, 2, 3]).hits, 2);
  model.adapter = high;
  assert.equal(run([3, 4]), { bytes: 4 * hiddenSize * 10, samples: 2, hits: 2, misses: 6 });
  assert.equal(run([3, 4]).hits, 4);
  model.adapter = low;
  assert.equal(run([1]).misses, 7);
  cache.dispose();
  model.prefixCache = undefined;
  assert.ok(native().memory().tensors <= before, 'streams were left behind');
  for (const set of [low, high]) set.dispose();
  model.dispose();
});

test('a sample of nothing but padding has a place too', async () => {
  const model = await loadClassifier(join(root, 'bert-classifier'), { hiddenDropout: 0 });
  const set = adapters(model, 1);
  model.adapter = set;
  const batch = padded([1, 2], [5, 3], 0);
  batch.attentionMask?.fill(0, 5);
  const plain = await lossAndGradients(model, batch);
  const cache = new PrefixCache(1e6);
  model.prefixCache = cache;
  close((await lossAndGradients(model, batch)).loss, plain.loss, 1e-5);
  cache.dispose();
  set.dispose();
  model.dispose();
});
