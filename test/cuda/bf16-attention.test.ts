// Models that multiply in bf16 attend in bf16 on the GPU, and stay as good as those in f32.
import { join } from 'node:path';
import { attentionContext } from '../../ts/models/attention-block.js';
import type { Decoder } from '../../ts/models/decoder.js';
import { Encoder } from '../../ts/models/encoder.js';
import { loadClassifier } from '../../ts/models/load-classifier.js';
import { loadModel } from '../../ts/models/load-model.js';
import { Parameter } from '../../ts/nn/parameter.js';
import { attention } from '../../ts/ops/attention.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { assert, close, fails, test } from '../harness.js';
import { cardMemory, gpu, root, roundsBf16, sized } from './gpu.js';

// Read when the first block is taken.
process.env.ESPALIER_SHIM_MEMORY = String(2 ** 28);

const MODEL = join(root, sized('test/fixtures/stories260K', 'demo/model'));
const STORIES = join(root, 'demo/text/stories.txt');
const POSITIONS = 70;

test('a model that multiplies in bf16 has the perplexity of one in f32 within half a per cent', async () => {
  const perplexities = new Map<string, number>();
  for (const dtype of ['f32', 'bf16'] as const) {
    const options = sized({ window: 80, maxWindows: 2 }, { window: 128 });
    const { perplexity } = await evaluate(MODEL, { text: STORIES, device: gpu, dtype, ...options });
    perplexities.set(dtype, perplexity);
  }
  const { f32, bf16 } = Object.fromEntries(perplexities) as Record<'f32' | 'bf16', number>;
  close([bf16], [f32], 5e-3);
  assert.is.not(bf16, f32);
});

/** `got` differs from `exact` as much as rounding to bf16 does, where the card rounds, else not at all. */
function checkRounding(
  got: Float32Array,
  exact: Float32Array,
  tolerance: number,
  what: string,
): void {
  let error = 0;
  let total = 0;
  for (const [i, value] of exact.entries()) {
    error += (got[i]! - value) ** 2;
    total += value ** 2;
  }
  assert.is(error > 1e-8 * total, roundsBf16, `${what}: ${error / total}`);
  assert.ok(error < tolerance * total, `${what}: ${error / total}`);
}

/** The first layer's attention to given projections, and the gradients of the projections. */
async function attended({ config, layers: [layer] }: Decoder): Promise<Float32Array[]> {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads } = layer!.shape;
  const projections = [heads, kvHeads, kvHeads].map((count, seed) => {
    const width = count * config.headDim;
    const values = Float32Array.from({ length: POSITIONS * width }, (_, i) =>
      Math.sin((seed + 2) * i ** 1.5),
    );
    return new Parameter(Tensor.from(values, [1, POSITIONS, width], { device: gpu }));
  });
  const [query, key, value] = projections.map((parameter) => parameter.value) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  // Angles of 0: nothing is rotated.
  const frequencies = Tensor.zeros([config.headDim / 2], 'f32', gpu);
  const context = scope(() => attentionContext(config, layer!, { query, key, value }, frequencies));
  context.backward(context);
  const results = [context, ...projections.map(({ grad }) => grad as Tensor)];
  const read = (await Promise.all(results.map((tensor) => tensor.read()))) as Float32Array[];
  for (const parameter of projections) parameter.dispose();
  context.dispose();
  frequencies.dispose();
  return read;
}

test('the layers of a model that multiplies in bf16 attend in bf16, forward and backward', async () => {
  const results: Float32Array[][] = [];
  for (const dtype of ['f32', 'bf16'] as const) {
    const model = await loadModel(MODEL, { device: gpu, dtype });
    results.push(await attended(model));
    model.dispose();
  }
  const [exact, rounded] = results as [Float32Array[], Float32Array[]];
  for (const [i, expected] of exact.entries()) {
    checkRounding(rounded[i] as Float32Array, expected, 1e-4, `result ${i}`);
  }
});

test('an encoder in bf16 multiplies and attends in bf16', async () => {
  const directory = join(root, 'test/fixtures/conformance/bert-classifier');
  const model = await loadClassifier(directory, { device: gpu, dtype: 'bf16' });
  const { config, tensors } = model.trunk as Encoder;
  const ids = Int32Array.from({ length: POSITIONS }, (_, i) => (i * 7) % 50);
  const batch = { inputIds: ids, batch: 1, sequence: POSITIONS };
  const states: Float32Array[] = [];
  // The second has the same weights, which stay the model's.
  for (const encoder of [model.trunk as Encoder, new Encoder(config, tensors)]) {
    const hidden = encoder.hiddenStates(batch, {});
    states.push((await hidden.read()) as Float32Array);
    hidden.dispose();
  }
  model.dispose();
  const [rounded, exact] = states as [Float32Array, Float32Array];
  checkRounding(rounded, exact, 1e-3, 'hidden states');
});

test('attention without room for rounded copies says so and leaves the device usable', async () => {
  if (!roundsBf16) return;
  // Four tensors fit, and a half each of three more does not.
  const memory = sized(2 ** 28, cardMemory);
  const positions = Math.floor(memory / 4.75 / 4 / 128);
  const x = [1, 2, 3].map(() => Tensor.zeros([1, positions, 1, 128], 'f32', gpu));
  const [q, k, v] = x as [Tensor, Tensor, Tensor];
  const output = attention(q, k, v, { products: 'bf16' });
  const first = output.reshape([positions, 128]).slice(0, 1);
  await fails(() => first.read(), 'OUT_OF_MEMORY');
  for (const tensor of [...x, output, first]) tensor.dispose();
  const small = Tensor.from(new Float32Array(16).fill(7), [1, 1, 1, 16], { device: gpu });
  const attended = attention(small, small, small, { products: 'bf16' });
  assert.equal(await attended.read(), new Float32Array(16).fill(7));
  for (const tensor of [small, attended]) tensor.dispose();
});
