import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWeightsIndex } from '../../ts/formats/weights-index.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { makeSafetensors } from './make-safetensors.js';

const shard = makeSafetensors(
  { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } },
  Buffer.of(7),
);

function checkpoint(index: unknown): string {
  const directory = join(temporaryDirectory(), 'model');
  mkdirSync(directory);
  writeFileSync(join(directory, '..', 'outside.safetensors'), shard);
  writeFileSync(join(directory, 's.safetensors'), shard);
  const text = typeof index === 'string' ? index : JSON.stringify(index);
  writeFileSync(join(directory, 'model.safetensors.index.json'), text);
  return directory;
}

test('a shard is found through the index', async () => {
  const { entries } = await readWeightsIndex(checkpoint({ weight_map: { a: 's.safetensors' } }));
  assert.is(entries.get('a')?.bytes, 1);
});

const escapes = [
  '../outside.safetensors',
  '/etc/passwd',
  'x/../../outside.safetensors',
  '..\\outside.safetensors',
  './s.safetensors',
  '..',
  '',
  's.safetensors\u0000',
  's.bin',
  `${'x'.repeat(300)}.safetensors`,
  7,
  null,
];
for (const path of escapes) {
  test(`a shard called ${JSON.stringify(path)?.slice(0, 40)} is refused`, async () => {
    const error = await fails(
      () => readWeightsIndex(checkpoint({ weight_map: { a: path } })),
      'FORMAT',
    );
    assert.match(error.message, 'not a safetensors file of its directory');
  });
}

test('a broken index, a missing shard and a tensor that is not in its shard are FORMAT', async () => {
  for (const index of [
    '',
    '[]',
    '{"weight_map":[]}',
    '{}',
    '{"weight_map":{"a":"s.safetensors","a":"s.safetensors"}}',
    { weight_map: { a: 'missing.safetensors' } },
    { weight_map: { b: 's.safetensors' } },
  ]) {
    await fails(() => readWeightsIndex(checkpoint(index)), 'FORMAT');
  }
});

test('a directory without weights is CONFIG', async () => {
  await fails(() => readWeightsIndex(temporaryDirectory()), 'CONFIG');
});
