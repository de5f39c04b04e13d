import { Random } from '../../ts/common/random.js';
import { loadModel } from '../../ts/models/load-model.js';
import { ropeFrequencies } from '../../ts/models/rope-frequencies.js';
import { type SampleOptions, sampleSequences } from '../../ts/models/sample-sequences.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';
import { demoModel, smallModel } from '../systems/comp/small-model.js';

async function write(
  directory: string,
  first: number[],
  length: number,
  watch: Pick<SampleOptions, 'signal' | 'onTokens'> = {},
) {
  const model = await loadModel(directory);
  const { config, outer, layers } = model;
  const frequencies = Tensor.from(ropeFrequencies(config.rope, config.headDim));
  const random = new Random(3);
  const options = { first, length, random, ...watch };
  try {
    const sequences = await sampleSequences({ config, outer, layers, frequencies }, options);
    return { model, sequences: sequences.map((sequence) => [...sequence]) };
  } finally {
    frequencies.dispose();
  }
}

/** Draws again from the logits of whole forward passes, without any cache. */
async function writeSlowly(directory: string, first: number[], length: number) {
  const model = await loadModel(directory);
  const random = new Random(3);
  const sequences = first.map((id) => [id]);
  while ((sequences[0] as number[]).length < length) {
    const logits = model.forward(sequences);
    const all = (await logits.read()) as Float32Array;
    const [, steps, vocab] = logits.shape as [number, number, number];
    for (const [i, sequence] of sequences.entries()) {
      const row = all.subarray((i * steps + steps - 1) * vocab, (i * steps + steps) * vocab);
      const most = Math.max(...row);
      const weights = [...row].map((logit) => Math.exp(logit - most));
      const wanted = random.float() * weights.reduce((sum, weight) => sum + weight, 0);
      let sum = 0;
      sequence.push(
        weights.findIndex((weight) => {
          sum += weight;
          return wanted < sum;
        }),
      );
    }
    logits.dispose();
  }
  model.dispose();
  return sequences;
}

for (const name of ['llama-mha-tied', 'llama-bias-headdim', 'qwen3', 'mistral-window']) {
  test(`${name}: what is written with kept keys is what whole passes give`, async () => {
    const directory = smallModel(name);
    const { model, sequences } = await write(directory, [5, 9, 60], 24);
    model.dispose();
    assert.equal(sequences, await writeSlowly(directory, [5, 9, 60], 24));
  });
}

test('a trained model finds what it wrote likely, and never writes the same twice', async () => {
  const first = Array.from({ length: 16 }, () => 40);
  const { model, sequences } = await write(demoModel, first, 128);
  const losses = await model.tokenLosses(sequences);
  model.dispose();
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  assert.ok(mean < 1.5, String(mean));
  assert.is(new Set(sequences.map(String)).size, sequences.length);
});

test('progress counts the tokens that are drawn, over all batches', async () => {
  // More sequences than fit into one batch.
  const first = Array.from({ length: 300 }, (_, i) => i % 90);
  const seen: number[] = [];
  const onTokens = (drawn: number, total: number) => {
    assert.is(total, 300 * 127);
    seen.push(drawn);
  };
  const { model } = await write(demoModel, first, 128, { onTokens });
  model.dispose();
  assert.ok(seen.length > 128, `${seen.length} events: one batch`);
  assert.is(seen[0], 0);
  assert.is(seen.at(-1), 300 * 127);
  assert.ok(seen.every((drawn, i) => i === 0 || drawn > (seen[i - 1] as number)));
});

test('writing can be aborted', async () => {
  const controller = new AbortController();
  controller.abort();
  await fails(() => write(demoModel, [3], 64, { signal: controller.signal }), 'ABORTED');
});
