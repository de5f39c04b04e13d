// Several threads, streams and cards at once, and a thread that never waits for the GPU.
import { eigh } from '../../ts/ops/eigh.js';
import { linear } from '../../ts/ops/linear.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';
import { cards, gpu, runOnGpu, sized } from './gpu.js';

test('worker threads use the GPU at once, end in the middle of their work, and so do processes', async () => {
  const { code, output } = await runOnGpu('test/native/worker-threads.test.ts');
  assert.is(code, 0, output);
});

/** A product of `side`³ with itself `count` times over, scaled to stay finite. */
function powers(device: string, side: number, count: number): Tensor {
  const entries = Float32Array.from({ length: side * side }, (_, i) => ((i * 7919) % 13) / 6 - 1);
  const matrix = Tensor.from(
    entries.map((value) => value / Math.sqrt(side)),
    [side, side],
    { device },
  );
  let result = matrix.reshape([side, side]);
  for (let i = 0; i < count; i++) {
    const next = linear(result, matrix);
    result.dispose();
    result = next;
  }
  matrix.dispose();
  return result;
}

test('the event loop turns while the GPU computes and while it factorises', async () => {
  for (const work of [
    () => powers(gpu, sized(96, 2048), sized(8, 100)),
    () => {
      const matrix = powers(gpu, sized(64, 1024), 0);
      const { values, vectors } = eigh(matrix);
      for (const tensor of [matrix, vectors]) tensor.dispose();
      return values;
    },
  ]) {
    const result = work();
    let running = true;
    const reading = result.read().finally(() => {
      running = false;
    });
    let turns = 0;
    while (running) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    await reading;
    assert.ok(turns > 50, `the event loop turned ${turns} times`);
    result.dispose();
  }
});

if (cards < 2) {
  test.skip('two cards compute at once and hand each other tensors', () => {});
} else {
  test('two cards compute at once and hand each other tensors', async () => {
    const other = resolveDevice('cuda:1').device;
    assert.is(other, 'cuda:1');
    const alone = await powers(gpu, 48, 4).read();
    const results = [gpu, other, gpu, other].map((device) => powers(device, 48, 4));
    for (const result of results) assert.equal(await result.read(), alone);
    const there = results[0]!.to(other);
    assert.is(there.device, other);
    const back = there.to(gpu);
    assert.equal(await back.read(), alone);
    for (const tensor of [...results, there, back]) tensor.dispose();
  });
}
