import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { Decoder } from '../../ts/models/decoder.js';
import { headLogits } from '../../ts/models/decoder-head.js';
import { loadModel } from '../../ts/models/load-model.js';
import { ropeFrequencies } from '../../ts/models/rope-frequencies.js';
import { rmsNorm } from '../../ts/ops/rms-norm.js';
import { MappedFile } from '../../ts/tensor/mapped-file.js';
import { keep, scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, close, test } from '../harness.js';

// What stock transformers computes on these checkpoints; made-with.json names the versions.
const root = fileURLToPath(new URL('../fixtures/conformance', import.meta.url));
const models = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.endsWith('-classifier'))
  .map((entry) => entry.name);

const TOLERANCE = 1e-4;

async function expectations(model: string): Promise<Map<string, Float32Array | BigInt64Array>> {
  const { path, entries } = await readSafetensors(join(root, model, 'expected.safetensors'));
  const file = MappedFile.open(path);
  const values = new Map<string, Float32Array | BigInt64Array>();
  for (const [name, { offset, shape, dtype }] of entries) {
    const tensor = file.tensor(offset, shape, dtype === 'I64' ? 'i64' : 'f32');
    values.set(name, (await tensor.read()) as Float32Array | BigInt64Array);
    tensor.dispose();
  }
  file.close();
  return values;
}

/**
 * Casting a model to half precision with `.to()` rounds its rotary frequencies too. The two half
 * precision sets were computed after such a cast; a model loaded from disk keeps them in f32, and so
 * do we. Their rounded frequencies are put in here, so that everything else can be compared.
 */
const ROUNDED: Readonly<Record<string, number>> = { 'llama-bf16': 7, 'llama-f16-sharded': 10 };

async function load(name: string, dtype: 'auto' | 'f32'): Promise<Decoder> {
  const model = await loadModel(join(root, name), { dtype });
  const mantissaBits = ROUNDED[name];
  if (mantissaBits === undefined) return model;
  const { config, outer, layers } = model;
  const frequencies = ropeFrequencies(config.rope, config.headDim).map((frequency) => {
    const unit = 2 ** (Math.floor(Math.log2(frequency)) - mantissaBits);
    return Math.round(frequency / unit) * unit;
  });
  return new Decoder(config, outer, layers, frequencies);
}

test('every family is there', () => {
  assert.is(models.length, 10);
});

for (const name of models) {
  for (const dtype of ['auto', 'f32'] as const) {
    test(`${name} with ${dtype} weights gives the hidden states, logits and loss of transformers`, async () => {
      const expected = await expectations(name);
      const reference = (key: string) => expected.get(key) as Float32Array;
      const ids = Int32Array.from(expected.get('input_ids') as BigInt64Array, Number);
      const sequence = ids.length / 2;
      const rows = [0, 1].map((i) => [...ids.subarray(i * sequence, (i + 1) * sequence)]);
      const model = await load(name, dtype);
      const { config } = model;

      const streams: Tensor[] = [];
      const logits = scope(() => {
        const x = model.hiddenStates(Tensor.from(ids, [2, sequence], { device: model.device }), {
          onStream: (stream, layer) => {
            // transformers reports the last stream after the final norm.
            const last = layer === config.layers.length;
            const seen = last ? rmsNorm(stream, model.outer.finalNorm, config.rmsNormEps) : stream;
            streams.push(keep(seen));
          },
        });
        return headLogits(config, model.outer, x);
      });
      for (const [i, stream] of streams.entries()) {
        close((await stream.read()) as Float32Array, reference(`hidden_states.${i}`), TOLERANCE);
        stream.dispose();
      }
      assert.is(streams.length, config.layers.length + 1);
      close((await logits.read()) as Float32Array, reference('logits'), TOLERANCE);
      logits.dispose();

      const direct = model.forward(rows);
      assert.equal(direct.shape, [2, sequence, config.vocabSize]);
      close((await direct.read()) as Float32Array, reference('logits'), TOLERANCE);
      direct.dispose();

      const losses = await model.tokenLosses(rows);
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      close([mean], reference('loss'), TOLERANCE);
      model.dispose();
    });
  }
}
