import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EspalierError } from '../../ts/common/errors.js';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { type AdapterModule, readAdapter, writeAdapter } from '../../ts/formats/peft-adapter.js';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { assert, fails, test } from '../harness.js';
import { mutateJson, mutateSafetensors } from '../models/mutations.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { makeSafetensors } from './make-safetensors.js';

const fixture = fileURLToPath(new URL('../fixtures/conformance/llama-gqa/lora', import.meta.url));
const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

/** A copy of PEFT's own adapter with other fields in its configuration. */
function variant(fields: Record<string, unknown>): string {
  const directory = join(temporaryDirectory(), 'adapter');
  cpSync(fixture, directory, { recursive: true });
  const json = JSON.parse(readFileSync(join(fixture, CONFIG), 'utf8'));
  writeFileSync(join(directory, CONFIG), JSON.stringify({ ...json, ...fields }));
  return directory;
}

test('an adapter that PEFT wrote is read with its ranks, scales and numbers', async () => {
  const { config, modules, modulesToSave } = await readAdapter(fixture);
  assert.is(modules.size, 21);
  assert.is(modulesToSave.size, 0);
  assert.is(config.taskType, 'CAUSAL_LM');
  const plain = modules.get('model.layers.0.self_attn.q_proj') as AdapterModule;
  assert.equal(
    [plain.rank, plain.alpha, plain.scale, plain.inFeatures, plain.outFeatures],
    [4, 8, 2, 64, 64],
  );
  const wide = modules.get('model.layers.2.self_attn.q_proj') as AdapterModule;
  assert.equal([wide.rank, wide.alpha, wide.scale], [6, 6, 1]);
  const narrow = modules.get('model.layers.2.mlp.down_proj') as AdapterModule;
  assert.equal([narrow.rank, narrow.alpha, narrow.scale], [2, 8, 4]);
  const { entries } = await readSafetensors(join(fixture, WEIGHTS));
  for (const [path, { a, b }] of modules) {
    for (const [letter, values] of Object.entries({ A: a, B: b })) {
      const entry = entries.get(`base_model.model.${path}.lora_${letter}.weight`)!;
      const bytes = readFileSync(entry.file).subarray(entry.offset, entry.offset + entry.bytes);
      assert.ok(bytes.equals(Buffer.from(values.buffer)), `${path} ${letter}`);
    }
  }
});

test('reading and writing keeps every tensor and every field, known or not', async () => {
  const source = variant({ some_future_field: { a: [1] } });
  const target = join(temporaryDirectory(), 'a', 'b');
  await writeAdapter(target, await readAdapter(source));
  const json = (directory: string) => JSON.parse(readFileSync(join(directory, CONFIG), 'utf8'));
  const before = json(source);
  const after = json(target);
  for (const [field, value] of Object.entries(before)) assert.equal(after[field], value, field);
  const [first, second] = [await readAdapter(source), await readAdapter(target)];
  assert.equal(second.modules, first.modules);
  const names = async (directory: string) =>
    [...(await readSafetensors(join(directory, WEIGHTS))).entries.keys()].sort();
  assert.equal(await names(target), await names(source));
});

test('a new adapter with a classifier comes back as it was', async () => {
  const directory = temporaryDirectory();
  const config = makeAdapterConfig({
    r: 2,
    loraAlpha: 3,
    useRslora: true,
    targetModules: ['query'],
    modulesToSave: ['classifier', 'score'],
    taskType: 'SEQ_CLS',
  });
  const module: AdapterModule = {
    rank: 2,
    alpha: 3,
    scale: 3 / Math.sqrt(2),
    a: Float32Array.of(1, 2, 3, 4, 5, 6),
    b: Float32Array.of(-1, -2),
    inFeatures: 3,
    outFeatures: 1,
  };
  const modules = new Map([['bert.encoder.layer.0.attention.self.query', module]]);
  const modulesToSave = new Map([
    ['classifier.dense.weight', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
    ['classifier.dense.bias', { shape: [2], data: Float32Array.of(5, 6) }],
  ]);
  await writeAdapter(directory, { config, modules, modulesToSave });
  const { entries } = await readSafetensors(join(directory, WEIGHTS));
  assert.equal([...entries.keys()].sort(), [
    'base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight',
    'base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight',
    'base_model.model.classifier.dense.bias',
    'base_model.model.classifier.dense.weight',
  ]);
  const read = await readAdapter(directory);
  assert.equal(read.modules, modules);
  assert.equal(read.modulesToSave, modulesToSave);
});

test('matrices of another rank than their configuration are not written', async () => {
  const adapter = await readAdapter(fixture);
  const config = { ...adapter.config, r: 5 };
  await fails(() => writeAdapter(temporaryDirectory(), { ...adapter, config }), 'SHAPE');
});

test('what is not plain LoRA is refused by the name of its field', async () => {
  const cases: Record<string, unknown> = {
    peft_type: 'ADALORA',
    use_dora: true,
    bias: 'all',
    megatron_config: { a: 1 },
    init_lora_weights: 'pissa',
    loftq_config: { loftq_bits: 4 },
    fan_in_fan_out: true,
    lora_bias: true,
    alora_invocation_tokens: [1],
    trainable_token_indices: [4],
    layer_replication: [[0, 1]],
  };
  for (const [field, value] of Object.entries(cases)) {
    const error = await fails(() => readAdapter(variant({ [field]: value })), 'UNSUPPORTED');
    assert.ok(error.message.includes(field), error.message);
  }
});

test('a rank of zero, tensors of another rank and modules that are not targeted are refused', async () => {
  await fails(() => readAdapter(variant({ r: 0 })), 'FORMAT');
  const rank = await fails(() => readAdapter(variant({ rank_pattern: {} })), 'FORMAT');
  assert.match(rank.message, /layers\.2.*\[4, inputs\]/s);
  const target = await fails(() => readAdapter(variant({ target_modules: ['q_proj'] })), 'FORMAT');
  assert.match(target.message, /does not target/);
  await fails(() => readAdapter(variant({ layers_to_transform: [0, 1] })), 'FORMAT');
});

test('half precision is widened exactly', async () => {
  const directory = temporaryDirectory();
  const bf16 = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80);
  const f16 = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff);
  const header = {
    'base_model.model.x.q.lora_A.weight': { dtype: 'BF16', shape: [1, 4], data_offsets: [0, 8] },
    'base_model.model.x.q.lora_B.weight': { dtype: 'F16', shape: [4, 1], data_offsets: [8, 16] },
  };
  const data = Buffer.concat([Buffer.from(bf16.buffer), Buffer.from(f16.buffer)]);
  writeFileSync(join(directory, WEIGHTS), makeSafetensors(header, data));
  const json = { peft_type: 'LORA', r: 1, lora_alpha: 1, target_modules: ['q'] };
  writeFileSync(join(directory, CONFIG), JSON.stringify(json));
  const { a, b } = (await readAdapter(directory)).modules.get('x.q') as AdapterModule;
  assert.equal([...a], [1, -2, 2 ** -133, Number.POSITIVE_INFINITY]);
  assert.equal([...b], [1, -2, 2 ** -24, 65504]);
});

test('tensors that belong to no matrix pair are refused', async () => {
  const write = (names: string[]) => {
    const directory = variant({ modules_to_save: ['classifier'] });
    const entry = { dtype: 'F32', shape: [0], data_offsets: [0, 0] };
    const header = Object.fromEntries(names.map((name) => [name, entry]));
    writeFileSync(join(directory, WEIGHTS), makeSafetensors(header));
    return readAdapter(directory);
  };
  await fails(() => write(['model.x.lora_A.weight']), 'FORMAT');
  await fails(() => write(['base_model.model.x.q_proj.lora_A.weight']), 'FORMAT');
  await fails(() => write(['base_model.model.x.q_proj.lora_magnitude_vector']), 'UNSUPPORTED');
  await fails(() => write(['base_model.model.x.embed_tokens.weight']), 'UNSUPPORTED');
  const { modulesToSave } = await write(['base_model.model.classifier.weight']);
  assert.equal([...modulesToSave.keys()], ['classifier.weight']);
});

test('4000 broken adapters each give a clean error or load correctly', async () => {
  const random = new Random(7);
  const directory = join(temporaryDirectory(), 'adapter');
  mkdirSync(directory);
  const config = makeAdapterConfig({ r: 2, targetModules: ['q', 'v'], rankPattern: { '1.v': 1 } });
  const module = (rank: number): AdapterModule => ({
    rank,
    alpha: 8,
    scale: 8 / rank,
    a: Float32Array.from({ length: rank * 3 }, () => random.normal()),
    b: Float32Array.from({ length: rank * 2 }, () => random.normal()),
    inFeatures: 3,
    outFeatures: 2,
  });
  const modules = new Map([
    ['model.layers.0.q', module(2)],
    ['model.layers.1.v', module(1)],
  ]);
  await writeAdapter(directory, { config, modules, modulesToSave: new Map() });
  const files = [CONFIG, WEIGHTS].map((name) => join(directory, name));
  const originals = files.map((file) => readFileSync(file));
  const outcomes: Record<string, number> = {};
  for (let i = 0; i < 4000; i++) {
    const which = random.integer(2);
    const original = originals[which] as Buffer;
    const mutated =
      which === 0 ? mutateJson(random, original.toString()) : mutateSafetensors(random, original);
    writeFileSync(files[which] as string, mutated);
    let outcome = 'loaded';
    try {
      const loaded = await readAdapter(directory);
      for (const { a, b, rank, inFeatures, outFeatures } of loaded.modules.values()) {
        assert.equal([a.length, b.length], [rank * inFeatures, rank * outFeatures]);
      }
    } catch (error) {
      outcome = error instanceof EspalierError ? error.code : String(error);
      const clean = outcome === 'FORMAT' || outcome === 'UNSUPPORTED';
      assert.ok(clean, `case ${i}: ${outcome}\n${mutated.toString().slice(0, 1000)}`);
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    writeFileSync(files[which] as string, original);
  }
  assert.ok((outcomes.loaded ?? 0) > 40, JSON.stringify(outcomes));
  assert.ok((outcomes.FORMAT ?? 0) > 2000, JSON.stringify(outcomes));
});
