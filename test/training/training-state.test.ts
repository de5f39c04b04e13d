import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { memorySource } from '../../ts/formats/tensor-source.js';
import {
  clearTrainingState,
  readTrainingState,
  type TrainingProgress,
  writeTrainingState,
} from '../../ts/training/training-state.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const progress: TrainingProgress = {
  step: 12,
  epoch: 1,
  batch: 4,
  seed: 99,
  fingerprint: 'abc',
  schedule: { kind: 'cosine', warmup: 3 },
  totals: { skipped: 0, tokens: 1234.5 },
};

test('a checkpoint comes back with its progress and its tensors, bit by bit', async () => {
  const directory = temporaryDirectory();
  assert.is(await readTrainingState(directory), undefined);
  const data = Float32Array.of(1, -0, 3e-45, 1e38, 0.1, 6);
  await writeTrainingState(directory, progress, [memorySource('m.x', [2, 3], data)]);
  const state = (await readTrainingState(directory))!;
  assert.equal(state.progress, progress);
  assert.equal(state.entries.get('m.x')?.shape, [2, 3]);
  assert.equal([...(await state.floats('m.x'))], [...data]);
  await fails(() => state.floats('m.y'), 'FORMAT');
});

test('only the last checkpoint stays, and what was left half-written goes', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'checkpoint-7.writing'));
  mkdirSync(join(directory, 'something-else'));
  for (const step of [3, 12, 12]) await writeTrainingState(directory, { ...progress, step }, []);
  assert.equal(readdirSync(directory).sort(), ['checkpoint-12', 'something-else']);
  await clearTrainingState(directory);
  assert.equal(readdirSync(directory), ['something-else']);
});

test('a state that was tampered with is refused', async () => {
  const directory = temporaryDirectory();
  await writeTrainingState(directory, progress, []);
  const file = join(directory, 'checkpoint-12', 'state.json');
  for (const text of ['{}', '{', JSON.stringify({ version: 1, ...progress, step: -1 })]) {
    writeFileSync(file, text);
    await fails(() => readTrainingState(directory), 'FORMAT');
  }
});

test('killed at any moment, the last complete checkpoint is there and whole', async () => {
  const directory = temporaryDirectory();
  const program = fileURLToPath(new URL('./fixtures/save-states.ts', import.meta.url));
  const random = new Random(4);
  let last = 0;
  for (let round = 0; round < 6; round++) {
    const args = ['--import', 'tsx', program, directory, String(last + 1)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let written = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      written += text;
    });
    await once(child.stdout, 'data');
    await sleep(random.integer(60));
    child.kill('SIGKILL');
    await once(child, 'close');
    const announced = Number(written.trim().split('\n').at(-1));
    const state = (await readTrainingState(directory))!;
    const { step, batch } = state.progress;
    assert.ok(step >= announced && step <= announced + 1, `${step} after ${announced}`);
    assert.is(batch, 2 * step);
    for (const [i, name] of ['w', 'm', 'v'].entries()) {
      assert.ok((await state.floats(name)).every((value) => value === step + i));
    }
    last = step;
  }
});
