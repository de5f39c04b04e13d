import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from '../../ts/models/inspect.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { tinyConfig, writeTinyCheckpoint } from './tiny-checkpoint.js';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

test('a model is described: family, parameters, dtypes, memory, tokenizer', async () => {
  const found = await inspect(path('demo/model'));
  assert.is(found.family, 'llama');
  assert.is(found.parameters.total, 936_448);
  assert.is(found.parameters.embedding, 105 * 128);
  assert.is(found.parameters.head, 0);
  assert.is(found.layers.length, 5);
  assert.equal(found.layers[0]?.parameters, {
    attention: 2 * 128 * 128 + 2 * 64 * 128,
    mlp: 3 * 352 * 128,
    norm: 256,
    total: 184_576,
  });
  assert.equal(found.dtypes, { F32: 936_448 });
  assert.is(found.memory.load, 4 * 936_448);
  assert.ok(found.memory.prune > found.memory.loadF32 / 5);
  assert.equal(found.tokenizer, { type: 'BPE', vocabSize: 105 });
  assert.is(found.tensors, undefined);
});

test('shards, half precision and the list of tensors', async () => {
  const found = await inspect(path('test/fixtures/conformance/llama-f16-sharded'), {
    tensors: true,
  });
  assert.is(found.files.length, 5);
  assert.equal(Object.keys(found.dtypes), ['F16']);
  assert.is(found.memory.loadF32, 2 * found.memory.load);
  assert.is(found.tensors?.length, 30);
  assert.is(found.tokenizer, undefined);
  assert.ok(found.tensors?.some(({ name }) => name === 'lm_head.weight'));
});

test('differing widths are listed layer by layer', async () => {
  const directory = temporaryDirectory();
  const wide = { intermediate_size: 12, num_attention_heads: 2, num_key_value_heads: 1 };
  const narrow = { intermediate_size: 6, num_attention_heads: 1, num_key_value_heads: 1 };
  writeTinyCheckpoint(directory, { fields: { head_dim: 4, espalier: { layers: [wide, narrow] } } });
  const { layers } = await inspect(directory);
  assert.equal(
    layers.map((layer) => layer.intermediateSize),
    [12, 6],
  );
  assert.ok((layers[0]?.parameters.total ?? 0) > (layers[1]?.parameters.total ?? 0));
});

test('a missing tensor and a tensor of a wrong shape are named', async () => {
  const directory = temporaryDirectory();
  writeTinyCheckpoint(directory);
  const configure = (fields: Record<string, unknown>) =>
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...tinyConfig, ...fields }));
  configure({ tie_word_embeddings: false });
  assert.match((await fails(() => inspect(directory), 'FORMAT')).message, 'lm_head.weight');
  configure({ intermediate_size: 13 });
  const error = await fails(() => inspect(directory), 'FORMAT');
  assert.match(error.message, 'mlp.gate_proj.weight has shape [12,8]');
});
