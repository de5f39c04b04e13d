import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { finetune } from '../../ts/training/finetune.js';
import type { FinetuneOptions } from '../../ts/training/finetune-options.js';
import { assert, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const demo = fileURLToPath(new URL('../../demo', import.meta.url));
const model = join(demo, 'model');
const entry = new URL('../native/workers/start.mjs', import.meta.url);
const { href: file } = new URL('./children/train.ts', import.meta.url);
const parent = temporaryDirectory();

const optionsFor = (name: string, more: Partial<FinetuneOptions> = {}): FinetuneOptions => ({
  output: join(parent, name),
  data: join(demo, 'text', 'wizard-of-oz.txt'),
  steps: 10,
  batchSize: 4,
  maxLength: 64,
  lr: 2e-3,
  loraDropout: 0.1,
  ...more,
});

/** Two trainings that differ in seed and rank. */
const kinds = [
  { seed: 1, loraR: 4 },
  { seed: 2, loraR: 8 },
];

async function alone(name: string, more: Partial<FinetuneOptions>): Promise<Buffer> {
  const options = optionsFor(name, more);
  await finetune(model, options);
  return readFileSync(join(options.output, 'adapter_model.safetensors'));
}

const start = (options: FinetuneOptions) =>
  new Worker(entry, { workerData: { file, model, options } });

/** Bytes that a worker ends with, after it said that it is under way. */
async function result(worker: Worker): Promise<Buffer> {
  for (;;) {
    const [message] = await once(worker, 'message');
    if (message !== 'under way') return Buffer.from(message);
  }
}

test('two trainings in two threads at once end with the bytes that each has alone', async () => {
  const expected: Buffer[] = [];
  for (const [i, more] of kinds.entries()) expected.push(await alone(`alone-${i}`, more));
  const both = kinds.map((more, i) => start(optionsFor(`both-${i}`, more)));
  const results = await Promise.all(both.map(result));
  for (const [i, bytes] of results.entries()) assert.ok(bytes.equals(expected[i] as Buffer));
});

test('a training whose thread is ended inside a step does not touch another', async () => {
  const [more = {}] = kinds;
  const expected = await alone('expected', more);
  const victims = [5, 6, 7].map((seed) =>
    start(optionsFor(`victim-${seed}`, { seed, steps: 10_000, batchSize: 16 })),
  );
  await Promise.all(victims.map((victim) => once(victim, 'message')));
  const ends: Promise<number>[] = [];
  const bytes = await alone('other', {
    ...more,
    onProgress: ({ phase, completed }) => {
      const victim = phase === 'train' ? victims[completed / 2 - 1] : undefined;
      if (victim !== undefined) ends.push(victim.terminate());
    },
  });
  assert.is((await Promise.all(ends)).length, victims.length);
  assert.ok(bytes.equals(expected));
});
