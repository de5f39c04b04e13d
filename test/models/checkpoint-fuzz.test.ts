import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EspalierError } from '../../ts/common/errors.js';
import { Random } from '../../ts/common/random.js';
import { Checkpoint } from '../../ts/models/checkpoint.js';
import { decoderTensors } from '../../ts/models/decoder-tensors.js';
import { assert, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { mutateJson, mutateSafetensors } from './mutations.js';
import { writeTinyCheckpoint } from './tiny-checkpoint.js';

const CASES = 10_000;

/** Opens a checkpoint, maps every weight, and compares some of it with the bytes of the file. */
async function load(directory: string): Promise<void> {
  const checkpoint = await Checkpoint.open(directory);
  try {
    for (const { name, shape } of decoderTensors(checkpoint.config)) {
      const entry = checkpoint.entry(name);
      const tensor = checkpoint.tensor(name);
      assert.equal(tensor.shape, shape);
      const bytes = readFileSync(entry.file).subarray(entry.offset, entry.offset + entry.bytes);
      assert.is(bytes.length, entry.bytes);
      const values = tensor.readSync();
      const got = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      assert.ok(got.equals(bytes), `${name} differs from the file`);
      tensor.dispose();
    }
  } finally {
    checkpoint.close();
  }
}

test(`${CASES} broken checkpoints each give a clean error or load correctly`, async () => {
  const random = new Random(20240607);
  const single = join(temporaryDirectory(), 'single');
  const sharded = join(temporaryDirectory(), 'sharded');
  mkdirSync(single);
  mkdirSync(sharded);
  writeTinyCheckpoint(single);
  writeTinyCheckpoint(sharded, { sharded: true });
  const targets = [
    ...new Array(5).fill(join(single, 'model.safetensors')),
    ...new Array(2).fill(join(single, 'config.json')),
    ...new Array(2).fill(join(sharded, 'model.safetensors.index.json')),
    join(sharded, 'model-00002-of-00002.safetensors'),
  ] as string[];
  const originals = new Map(targets.map((path) => [path, readFileSync(path)]));
  const outcomes: Record<string, number> = {};
  let peak = 0;
  await load(single);
  await load(sharded);
  const start = process.cpuUsage();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < CASES; i++) {
    const path = targets[random.integer(targets.length)] as string;
    const original = originals.get(path) as Buffer;
    const mutated = path.endsWith('.json')
      ? mutateJson(random, original.toString())
      : mutateSafetensors(random, original);
    writeFileSync(path, mutated);
    let outcome = 'loaded';
    try {
      await load(path.startsWith(single) ? single : sharded);
    } catch (error) {
      const known = error instanceof EspalierError;
      outcome = known ? error.code : String(error);
      const expected = outcome === 'FORMAT' || outcome === 'UNSUPPORTED';
      const shown = mutated.toString().slice(0, 2000);
      assert.ok(expected, `case ${i}: ${outcome}: ${(error as Error).message}\n${shown}`);
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    writeFileSync(path, original);
    if (i % 100 === 0) peak = Math.max(peak, process.memoryUsage.rss());
  }
  // Were nearly all refused or nearly all loaded, the mutations would test little.
  assert.ok((outcomes.loaded ?? 0) > CASES / 100, JSON.stringify(outcomes));
  assert.ok((outcomes.FORMAT ?? 0) > CASES / 2, JSON.stringify(outcomes));
  assert.ok(peak - before < 300e6, `memory grew by ${(peak - before) / 1e6} MB`);
  // Processor time: on a machine with other work the clock says nothing about us.
  const { user, system } = process.cpuUsage(start);
  assert.ok((user + system) / 1e6 < 60, `took ${(user + system) / 1e6} s`);
});
