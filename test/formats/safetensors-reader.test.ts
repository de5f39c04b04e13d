import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { makeSafetensors } from './make-safetensors.js';

const directory = temporaryDirectory();
let files = 0;

function write(bytes: Uint8Array): string {
  const path = join(directory, `${files++}.safetensors`);
  writeFileSync(path, bytes);
  return path;
}

function read(header: unknown, dataBytes: number) {
  return readSafetensors(write(makeSafetensors(header, new Uint8Array(dataBytes))));
}

const a = { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] };

test('entries carry dtype, shape and the place in the file, metadata is text', async () => {
  const b = { ...a, data_offsets: [24, 48] };
  const file = await read({ __metadata__: { format: 'pt' }, a, b }, 48);
  const entry = file.entries.get('b');
  assert.equal(entry?.shape, [2, 3]);
  assert.is(entry?.offset, file.bytes - 24);
  assert.is(entry?.bytes, 24);
  assert.equal([...file.metadata], [['format', 'pt']]);
});

test('empty files, scalars, empty tensors, odd header lengths and odd names are fine', async () => {
  assert.is((await read({}, 0)).entries.size, 0);
  assert.is((await read('{}     ', 0)).entries.size, 0);
  const odd =
    '{"__proto__":{"dtype":"U8","shape":[],"data_offsets":[0,1]},' +
    '"":{"dtype":"F64","shape":[0,7],"data_offsets":[1,1]}}';
  const { entries } = await read(odd, 1);
  assert.equal([...entries.keys()].sort(), ['', '__proto__']);
  assert.is(entries.get('__proto__')?.offset, 8 + odd.length);
});

test('a tensor of a dtype that espalier cannot compute with stays in the index', async () => {
  const { entries } = await read(
    {
      x: { dtype: 'F8_E4M3', shape: [3], data_offsets: [0, 3] },
      y: { dtype: 'BOOL', shape: [1], data_offsets: [3, 4] },
      z: { dtype: 'F4', shape: [4], data_offsets: [4, 6] },
    },
    6,
  );
  assert.is(entries.size, 3);
});

const twice = JSON.stringify(a);
const long = { ...a, shape: new Array(1000).fill(1), data_offsets: [0, 4] };
const broken: [string, unknown, number][] = [
  ['JSON that is none', '{"a":', 0],
  ['a header that is an array', '[]', 0],
  ['a header that is a string', '"a"', 0],
  ['leading space', ' {}', 0],
  ['a duplicate name', `{"a":${twice},"a":${twice}}`, 24],
  ['a duplicate name in disguise', `{"a":${twice},"\\u0061":${twice}}`, 24],
  ['a duplicate field', '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1],
  ['a name that is not Unicode', '{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1],
  ['nesting without end', `{"a":${'['.repeat(100_000)}`, 0],
  ['a tensor that is a number', { a: 1 }, 0],
  ['a tensor that is null', { a: null }, 0],
  ['a missing field', { a: { dtype: 'F32', shape: [2] } }, 8],
  ['an unknown field', { a: { ...a, extra: 1 } }, 24],
  ['an unknown dtype', { a: { ...a, dtype: 'F99' } }, 24],
  ['a dtype out of the prototype', { a: { ...a, dtype: 'constructor' } }, 24],
  ['a dtype that is a number', { a: { ...a, dtype: 1 } }, 24],
  ['a negative dimension', { a: { ...a, shape: [-2, -3] } }, 24],
  ['a fractional dimension', { a: { ...a, shape: [1.5, 4] } }, 24],
  ['a dimension as text', { a: { ...a, shape: ['2', 3] } }, 24],
  ['a shape that overflows', { a: { ...a, shape: [2 ** 40, 2 ** 40] } }, 24],
  ['a shape that wraps around', { a: { ...a, shape: [2 ** 32 + 1, 2 ** 32 + 1, 6] } }, 24],
  ['a huge shape of size 0', { a: { ...a, shape: [2 ** 50, 9, 0], data_offsets: [0, 0] } }, 0],
  ['a shape of a thousand dimensions', { a: long }, 4],
  ['offsets that are too few', { a: { ...a, data_offsets: [0] } }, 24],
  ['offsets that are swapped', { a: { ...a, data_offsets: [24, 0] } }, 24],
  ['offsets that are negative', { a: { ...a, data_offsets: [-24, 0] } }, 24],
  [
    'offsets beyond 2^53',
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[9007199254740992,9007199254740993]}}',
    1,
  ],
  ['a length that does not fit the shape', { a: { ...a, data_offsets: [0, 20] } }, 20],
  ['half a byte', { a: { dtype: 'F4', shape: [3], data_offsets: [0, 2] } }, 2],
  ['an end outside the file', { a }, 20],
  ['bytes after the last tensor', { a }, 25],
  ['a hole at the start', { a: { ...a, data_offsets: [4, 28] } }, 28],
  ['a hole between', { a, b: { ...a, data_offsets: [28, 52] } }, 52],
  ['an overlap', { a, b: { ...a, data_offsets: [20, 44] } }, 44],
  ['the same range twice', { a, b: a }, 24],
  ['metadata that is not text', { __metadata__: { x: 1 } }, 0],
  ['metadata that is a list', { __metadata__: [] }, 0],
];

for (const [what, header, bytes] of broken) {
  test(`refuses ${what}`, async () => {
    await fails(() => read(header, bytes), 'FORMAT');
  });
}

test('refuses a header length beyond the file or the format, without reading it', async () => {
  for (const length of [0n, 1n, 3n, 100_000_001n, 2n ** 62n, 2n ** 64n - 1n]) {
    const bytes = makeSafetensors({});
    bytes.writeBigUInt64LE(length);
    await fails(() => readSafetensors(write(bytes)), 'FORMAT');
  }
  const sparse = write(makeSafetensors({}));
  truncateSync(sparse, 2 ** 40);
  await fails(() => readSafetensors(sparse), 'FORMAT');
});

test('refuses invalid UTF-8 and a byte order mark', async () => {
  const bytes = makeSafetensors('{"a":0}');
  bytes[10] = 0xff;
  await fails(() => readSafetensors(write(bytes)), 'FORMAT');
  await fails(() => read('\ufeff{}', 0), 'FORMAT');
});

test('refuses files cut short at every length', async () => {
  const whole = makeSafetensors({ a }, new Uint8Array(24));
  for (let length = 0; length < whole.length; length++) {
    await fails(() => readSafetensors(write(whole.subarray(0, length))), 'FORMAT');
  }
});

test('a missing file is CONFIG; a folder and a pipe are FORMAT, without waiting', async () => {
  const error = await fails(() => readSafetensors(join(directory, 'none')), 'CONFIG');
  assert.match(error.message, 'no such file');
  mkdirSync(join(directory, 'folder'));
  await fails(() => readSafetensors(join(directory, 'folder')), 'FORMAT');
  spawnSync('mkfifo', [join(directory, 'pipe')]);
  await fails(() => readSafetensors(join(directory, 'pipe')), 'FORMAT');
});
