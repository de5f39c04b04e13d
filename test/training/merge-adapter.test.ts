import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import {
  type AdapterFile,
  type AdapterModule,
  readAdapter,
  writeAdapter,
} from '../../ts/formats/peft-adapter.js';
import { readFloats } from '../../ts/formats/read-floats.js';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { memorySource } from '../../ts/formats/tensor-source.js';
import { readWeightsIndex } from '../../ts/formats/weights-index.js';
import { writeWeights } from '../../ts/formats/weights-writer.js';
import { loadModel } from '../../ts/models/load-model.js';
import { mergeAdapter } from '../../ts/training/merge-adapter.js';
import { assert, close, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const root = fileURLToPath(new URL('../fixtures/conformance', import.meta.url));

/** PEFT's adapter after its three training steps. */
async function trainedAdapter(family: string): Promise<AdapterFile> {
  const adapter = await readAdapter(join(root, family, 'lora'));
  const { entries } = await readSafetensors(join(root, family, 'lora', 'expected.safetensors'));
  const floats = (path: string, letter: string) =>
    readFloats(entries.get(`adamw3.base_model.model.${path}.lora_${letter}.weight`)!);
  const modules = new Map<string, AdapterModule>();
  for (const [path, module] of adapter.modules) {
    modules.set(path, { ...module, a: await floats(path, 'A'), b: await floats(path, 'B') });
  }
  return { ...adapter, modules };
}

/** A seeded adapter of rank 2 on the modules given. */
function randomAdapter(
  shapes: Readonly<Record<string, readonly [number, number]>>,
  fields: Partial<AdapterFile['config']> = {},
): AdapterFile {
  const random = new Random(5);
  const numbers = (length: number) => Float32Array.from({ length }, () => random.normal());
  const modules = new Map<string, AdapterModule>();
  for (const [path, [outFeatures, inFeatures]] of Object.entries(shapes)) {
    const [a, b] = [numbers(2 * inFeatures), numbers(2 * outFeatures)];
    modules.set(path, { rank: 2, alpha: 3, scale: 1.5, a, b, inFeatures, outFeatures });
  }
  const config = makeAdapterConfig({ r: 2, loraAlpha: 3, targetModules: 'all-linear', ...fields });
  return { config, modules, modulesToSave: new Map() };
}

for (const family of ['llama-gqa', 'qwen2', 'qwen3']) {
  test(`${family}: the merged model gives the logits of PEFT's merge_and_unload`, async () => {
    const [adapter, output] = [temporaryDirectory(), join(temporaryDirectory(), 'merged')];
    await writeAdapter(adapter, await trainedAdapter(family));
    const result = await mergeAdapter(join(root, family), adapter, { output });
    assert.is(result.modules, 21);
    const { entries } = await readSafetensors(join(root, family, 'lora', 'expected.safetensors'));
    const expected = await readFloats(entries.get('merged_logits_after_adamw3')!);
    const ids = entries.get('input_ids')!;
    const bytes = readFileSync(ids.file).subarray(ids.offset, ids.offset + ids.bytes);
    const [batch, sequence] = ids.shape as [number, number];
    const rows = Array.from({ length: batch }, (_, i) =>
      Array.from({ length: sequence }, (_, j) =>
        Number(bytes.readBigInt64LE(8 * (i * sequence + j))),
      ),
    );
    const model = await loadModel(output);
    const logits = model.forward(rows);
    close((await logits.read()) as Float32Array, expected, 1e-4);
    logits.dispose();
    model.dispose();
    const record = JSON.parse(readFileSync(join(output, 'run.json'), 'utf8'));
    assert.is(record.command, 'merge');
    assert.is(Object.keys(record.inputs).length, 4);
  });
}

test('weights become W + scale B A, rounded once to the dtype of the base', async () => {
  const path = 'model.layers.1.mlp.up_proj';
  const name = `${path}.weight`;
  for (const [family, unit] of [
    ['llama-gqa', 2 ** -24],
    ['llama-bf16', 2 ** -8],
    ['llama-f16-sharded', 2 ** -11],
  ] as const) {
    const base = await readWeightsIndex(join(root, family));
    const entry = base.entries.get(name)!;
    const [out, inputs] = entry.shape as [number, number];
    const adapter = randomAdapter({ [path]: [out, inputs] });
    const directory = temporaryDirectory();
    await writeAdapter(directory, adapter);
    const output = join(temporaryDirectory(), 'merged');
    await mergeAdapter(join(root, family), directory, { output, scale: -0.5 });
    const merged = await readWeightsIndex(output);
    assert.equal([...merged.entries.keys()].sort(), [...base.entries.keys()].sort());
    assert.is(merged.entries.get(name)!.dtype, entry.dtype);
    const [before, after] = [await readFloats(entry), await readFloats(merged.entries.get(name)!)];
    const { a, b } = adapter.modules.get(path)!;
    for (let i = 0; i < out; i++) {
      for (let j = 0; j < inputs; j++) {
        const change = b[2 * i]! * a[j]! + b[2 * i + 1]! * a[inputs + j]!;
        const exact = before[i * inputs + j]! - 0.5 * 1.5 * change;
        const slack = Math.abs(exact) * unit + 1e-6;
        const got = after[i * inputs + j]!;
        assert.ok(Math.abs(got - exact) <= slack, `${family} ${i},${j}: ${got} for ${exact}`);
      }
    }
    const same = await readFloats(merged.entries.get('model.norm.weight')!);
    assert.equal(same, await readFloats(base.entries.get('model.norm.weight')!));
  }
});

test('merging an adapter and then taking it off gives the base back', async () => {
  const base = join(root, 'llama-gqa');
  const [adapter, folder] = [join(base, 'lora'), temporaryDirectory()];
  const [merged, back] = [join(folder, 'merged'), join(folder, 'back')];
  await mergeAdapter(base, adapter, { output: merged });
  await mergeAdapter(merged, adapter, { output: back, scale: -1 });
  const [first, second] = [await readWeightsIndex(base), await readWeightsIndex(back)];
  for (const [name, entry] of first.entries) {
    close(await readFloats(second.entries.get(name)!), await readFloats(entry), 1e-6);
  }
});

test('a classifier comes out of the adapter with its classes, whatever prefix the base has', async () => {
  const query = 'bert.encoder.layer.0.attention.self.query';
  const adapter: AdapterFile = {
    ...randomAdapter(
      { [query]: [4, 4] },
      { taskType: 'SEQ_CLS', modulesToSave: ['classifier', 'pre_classifier'] },
    ),
    modulesToSave: new Map([
      ['pre_classifier.weight', { shape: [4, 4], data: new Float32Array(16) }],
      ['classifier.weight', { shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
      ['classifier.bias', { shape: [2], data: Float32Array.of(9, 10) }],
    ]),
  };
  const directory = temporaryDirectory();
  await writeAdapter(directory, adapter);
  const names = { id2label: { 0: 'bad', 1: 'good' }, label2id: { bad: 0, good: 1 } };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(names));
  for (const prefix of ['bert.', '']) {
    const base = temporaryDirectory();
    const zeros = new Float32Array(16);
    await writeWeights(base, [
      memorySource(`${prefix}${query.slice(5)}.weight`, [4, 4], zeros),
      memorySource(`${prefix}embeddings.LayerNorm.weight`, [16], zeros),
      ...(prefix === '' ? [] : [memorySource('cls.predictions.bias', [16], zeros)]),
    ]);
    const json = { model_type: 'bert', architectures: ['BertForMaskedLM'], keep: 1 };
    writeFileSync(join(base, 'config.json'), JSON.stringify(json));
    const output = join(temporaryDirectory(), 'merged');
    await mergeAdapter(base, directory, { output });
    const { entries } = await readWeightsIndex(output);
    assert.equal(
      [...entries.keys()].sort(),
      [
        'bert.embeddings.LayerNorm.weight',
        `${query}.weight`,
        'classifier.bias',
        'classifier.weight',
        'pre_classifier.weight',
      ].sort(),
    );
    const config = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8'));
    assert.equal(config.architectures, ['BertForSequenceClassification']);
    assert.equal(config.id2label, { 0: 'bad', 1: 'good' });
    assert.is(config.keep, 1);
  }
});

test('an adapter of another base is refused by the name of its module, and nothing is left', async () => {
  const base = join(root, 'llama-gqa');
  const merge = async (shapes: Record<string, [number, number]>) => {
    const adapter = temporaryDirectory();
    await writeAdapter(adapter, randomAdapter(shapes));
    const output = join(temporaryDirectory(), 'merged');
    const error = await fails(() => mergeAdapter(base, adapter, { output }), 'FORMAT');
    assert.not(existsSync(output));
    assert.not(existsSync(`${output}.partial`));
    return error.message;
  };
  const path = 'model.layers.0.self_attn.q_proj';
  assert.match(await merge({ [path]: [64, 32] }), /q_proj has a weight \[64,64\].*\[64,32\]/);
  assert.match(await merge({ 'model.layers.9.self_attn.q_proj': [64, 64] }), /no weight for .*9/);
});

test('an output that is an input, a wrong scale and an abort leave no trace', async () => {
  const base = join(root, 'llama-gqa');
  const adapter = join(base, 'lora');
  await fails(() => mergeAdapter(base, adapter, { output: adapter, force: true }), 'CONFIG');
  const output = join(temporaryDirectory(), 'merged');
  await fails(() => mergeAdapter(base, adapter, { output, scale: Number.NaN }), 'CONFIG');
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await fails(
    () => mergeAdapter(base, adapter, { output, signal: controller.signal, onProgress }),
    'ABORTED',
  );
  assert.not(existsSync(output));
  assert.not(existsSync(`${output}.partial`));
});
