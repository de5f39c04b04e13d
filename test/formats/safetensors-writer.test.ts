import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { SAFETENSORS_BITS, type SafetensorsDType } from '../../ts/formats/safetensors-dtype.js';
import { readSafetensors } from '../../ts/formats/safetensors-reader.js';
import { writeSafetensors } from '../../ts/formats/safetensors-writer.js';
import { fileSource, type TensorSource } from '../../ts/formats/tensor-source.js';
import { readWeightsIndex } from '../../ts/formats/weights-index.js';
import { writeWeights } from '../../ts/formats/weights-writer.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const directory = temporaryDirectory();

function source(name: string, dtype: SafetensorsDType, shape: number[], fill = 1): TensorSource {
  const bytes = (shape.reduce((x, y) => x * y, 1) * SAFETENSORS_BITS[dtype]) / 8;
  return {
    name,
    dtype,
    shape,
    async *chunks() {
      // Uneven pieces: the writer must not depend on how the bytes are cut.
      for (let done = 0; done < bytes; done += 7) {
        yield new Uint8Array(Math.min(7, bytes - done)).fill(fill);
      }
    },
  };
}

test('what is written is read back, every tensor aligned to its element size', async () => {
  const path = join(directory, 'mixed.safetensors');
  const dtypes = Object.keys(SAFETENSORS_BITS) as SafetensorsDType[];
  const sources = dtypes.map((dtype, i) => source(dtype, dtype, [4, 2 * i + 3], i));
  sources.push(source('__proto__', 'F32', []), source('empty', 'I64', [0, 3]));
  const size = await writeSafetensors(path, sources, { metadata: { from: 'a test' } });
  const file = await readSafetensors(path);
  const content = readFileSync(path);
  assert.is(content.length, size);
  assert.equal([...file.metadata], [['from', 'a test']]);
  assert.is(file.entries.size, sources.length);
  for (const [i, { name, dtype, shape }] of sources.entries()) {
    const entry = file.entries.get(name);
    assert.ok(entry, name);
    assert.is(entry.dtype, dtype);
    assert.equal(entry.shape, shape);
    if (SAFETENSORS_BITS[dtype] >= 8) {
      assert.is(entry.offset % (SAFETENSORS_BITS[dtype] / 8), 0, `${name} is misaligned`);
    }
    const bytes = content.subarray(entry.offset, entry.offset + entry.bytes);
    if (i < dtypes.length)
      assert.ok(
        bytes.every((byte) => byte === i),
        name,
      );
  }
});

test('the same tensors give the same bytes', async () => {
  const write = async (name: string) => {
    const path = join(directory, name);
    await writeSafetensors(path, [source('a', 'BF16', [3]), source('b', 'F32', [5])]);
    return readFileSync(path);
  };
  assert.equal(await write('one'), await write('two'));
});

test('a failure in the middle leaves the old file and nothing else', async () => {
  const folder = join(directory, 'kept');
  mkdirSync(folder);
  const path = join(folder, 'x.safetensors');
  writeFileSync(path, 'old');
  const broken = source('b', 'F32', [2]);
  broken.chunks = async function* () {
    yield new Uint8Array(8);
    throw new Error('out of luck');
  };
  const short = { ...source('b', 'F32', [1]), shape: [2] };
  const aborted = AbortSignal.abort();
  await fails(() => writeSafetensors(path, [source('a', 'F32', [4]), broken]), 'CONFIG');
  await fails(() => writeSafetensors(path, [short]), 'SHAPE');
  await fails(
    () => writeSafetensors(path, [source('a', 'F32', [4])], { signal: aborted }),
    'ABORTED',
  );
  await fails(
    () => writeSafetensors(path, [source('a', 'F32', [1]), source('a', 'F32', [1])]),
    'FORMAT',
  );
  assert.is(readFileSync(path, 'utf8'), 'old');
  assert.equal(readdirSync(folder), ['x.safetensors']);
});

test('a full disk is named, and the half-written file is gone', async () => {
  if (!existsSync('/dev/full')) return;
  const folder = join(directory, 'full');
  mkdirSync(folder);
  const path = join(folder, 'x.safetensors');
  // Every write to /dev/full fails as on a disk without space.
  symlinkSync('/dev/full', `${path}.writing`);
  const error = await fails(() => writeSafetensors(path, [source('a', 'F32', [4])]), 'CONFIG');
  assert.match(error.message, `cannot write ${path}: no space is left`);
  assert.equal(readdirSync(folder), []);
});

test('shards hold no more than asked, the index finds every tensor, bytes are copied as they are', async () => {
  const one = join(directory, 'one-file');
  const many = join(directory, 'many-files');
  mkdirSync(one);
  mkdirSync(many);
  const sources = Array.from({ length: 9 }, (_, i) => source(`t${i}`, 'I8', [10 * (i + 1)], i));
  assert.equal(await writeWeights(one, sources), ['model.safetensors']);
  const index = await readWeightsIndex(one);
  const copies = [...index.entries.values()].map((entry) => fileSource(entry));
  const files = await writeWeights(many, copies, { maxShardBytes: 100 });
  assert.is(files.at(-1), 'model.safetensors.index.json');
  const shards = await readWeightsIndex(many);
  assert.is(shards.files.length, files.length - 1);
  for (const file of shards.files) {
    const { entries } = await readSafetensors(file);
    const total = [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    assert.ok(total <= 100 || entries.size === 1);
  }
  for (const [i, { name }] of sources.entries()) {
    const entry = shards.entries.get(name);
    assert.ok(entry);
    const bytes = readFileSync(entry.file).subarray(entry.offset, entry.offset + entry.bytes);
    assert.ok(bytes.length === 10 * (i + 1) && bytes.every((byte) => byte === i));
  }
});
