import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { native } from '../../ts/native/addon.js';
import { rmsNorm } from '../../ts/ops/rms-norm.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { device } from '../device.js';
import { assert, test } from '../harness.js';

const busy = new URL('./workers/busy.ts', import.meta.url);
const compute = new URL('./workers/compute.mjs', import.meta.url);

const entry = new URL('./workers/start.mjs', import.meta.url);

function startBusy(): Worker {
  return new Worker(entry, { workerData: { file: busy.href } });
}

test('several workers and the main thread compute at once, each its own result', async () => {
  const inputs = [3, 5, 7, 11].map((value) => new Float32Array(16).fill(value));
  const workers = inputs.map((input) => new Worker(compute, { workerData: { input, device } }));
  const results = await Promise.all(workers.map((worker) => once(worker, 'message')));
  const weight = Tensor.from(new Float32Array(16).fill(1), [16], { device });
  const twos = Tensor.from(new Float32Array(16).fill(2), [1, 16], { device });
  const own = await rmsNorm(twos, weight, 0).read();
  for (const [result] of results) assert.equal(result, own);
});

test('a worker terminated in the middle of its work leaves the device usable', async () => {
  for (let round = 0; round < 5; round++) {
    const worker = startBusy();
    await once(worker, 'message');
    await worker.terminate();
    const x = Tensor.from([3, 4], [1, 2], { device });
    const y = rmsNorm(x, Tensor.from([1, 1], [2], { device }), 0);
    assert.is((await y.read()).length, 2);
    y.dispose();
  }
});

test('workers that load and unload the addon one after the other keep no memory', async () => {
  const input = new Float32Array(8).fill(1);
  const round = async () => {
    const worker = new Worker(compute, { workerData: { input, device } });
    await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  };
  for (let i = 0; i < 5; i++) await round();
  const before = native().memory(device).inUse;
  const rounds = device === 'cpu' ? 100 : 25;
  for (let i = 0; i < rounds; i++) await round();
  assert.ok(native().memory(device).inUse <= before + 4096, 'native memory grew');
});

test('a process that exits with work queued ends cleanly and soon', () => {
  for (const ending of ['process.exit(0)', '']) {
    const program = `
      import { rmsNorm } from '${new URL('../../ts/ops/rms-norm.ts', import.meta.url)}';
      import { Tensor } from '${new URL('../../ts/tensor/tensor.ts', import.meta.url)}';
      import { device } from '${new URL('../device.ts', import.meta.url)}';
      const x = Tensor.zeros([8192, 1024], 'f32', device);
      const weight = Tensor.from(new Float32Array(1024), [1024], { device });
      for (let i = 0; i < 2000; i++) rmsNorm(x, weight, 1e-6).dispose();
      ${ending}`;
    const child = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)), timeout: 60_000 },
    );
    assert.is(child.signal, null, String(child.stderr));
    assert.is(child.status, 0, String(child.stderr));
  }
});

test('a main thread that ends while workers are busy takes them down without a crash', () => {
  const program = `
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(new URL('${entry}'), { workerData: { file: '${busy}' } });
      worker.once('message', () => { if (i === 2) process.exit(0); });
    }`;
  const child = spawnSync(
    process.execPath,
    ['-e', `import('node:worker_threads').then(({ Worker }) => {${program}});`],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), timeout: 60_000 },
  );
  assert.is(child.signal, null, String(child.stderr));
  assert.is(child.status, 0, String(child.stderr));
});
