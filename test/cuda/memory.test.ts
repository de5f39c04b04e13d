// The GPU's memory: running out of it, and keeping nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { native } from '../../ts/native/addon.js';
import { AdamW } from '../../ts/nn/adamw.js';
import { LoraAdapter } from '../../ts/nn/lora-adapter.js';
import { linear } from '../../ts/ops/linear.js';
import { loraLinear } from '../../ts/ops/lora-linear.js';
import { multiply } from '../../ts/ops/multiply.js';
import { rmsNorm } from '../../ts/ops/rms-norm.js';
import { sumRows } from '../../ts/ops/sum-rows.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';
import { cardMemory, cardMemoryUsed, gpu, root, sized, useStandIns } from './gpu.js';

useStandIns();
// Read when the first block is taken. Blocks of the emulated card are filled, so it gets a small one.
process.env.ESPALIER_SHIM_MEMORY = String(2 ** 28);
const memory = sized(2 ** 28, cardMemory);

async function firstOf(tensor: Tensor): Promise<number> {
  const part = tensor.slice(0, 1);
  try {
    return Number((await part.read())[0]);
  } finally {
    part.dispose();
  }
}

test('a tensor that the card has no room for fails its reads and leaves the device usable', async () => {
  const huge = Tensor.zeros([Math.ceil((1.5 * memory) / 2 ** 20), 2 ** 18], 'f32', gpu);
  await fails(() => firstOf(huge), 'OUT_OF_MEMORY');
  huge.dispose();
  const small = Tensor.from([7], [1], { device: gpu });
  assert.is(await firstOf(small), 7);
  small.dispose();
});

test('a card that is filled up fails one tensor, keeps the others, and takes more once they are gone', async () => {
  const rows = Math.floor(memory / 8 / 2 ** 20);
  const kept: Tensor[] = [];
  let failed = 0;
  while (failed === 0 && kept.length < 16) {
    const piece = Tensor.zeros([rows, 2 ** 18], 'f32', gpu);
    scope(() => {
      const number = new Float32Array(2 ** 18).fill(kept.length);
      piece.slice(0, 1).copyFrom(Tensor.from(number, [1, 2 ** 18]));
    });
    kept.push(piece);
    await firstOf(piece).catch((error: { code: string }) => {
      assert.is(error.code, 'OUT_OF_MEMORY');
      failed++;
    });
  }
  assert.is(failed, 1);
  assert.ok(kept.length > 4, `the card took ${kept.length} eighths of its memory`);
  kept.pop()?.dispose();
  for (const [i, piece] of kept.entries()) assert.is(await firstOf(piece), i);
  for (const piece of kept) piece.dispose();
  const half = Tensor.zeros([4 * rows, 2 ** 18], 'f32', gpu);
  assert.is(await firstOf(half), 0);
  half.dispose();
});

test('an op without room for its result is named by everything that depends on it, and by nothing else', async () => {
  const side = Math.ceil(Math.sqrt((1.5 * memory) / 4));
  const column = Tensor.zeros([side, 1], 'f32', gpu);
  const ones = Tensor.from(new Float32Array(4).fill(1), [4], { device: gpu });
  const product = linear(column, column);
  const sums = sumRows(product);
  const bystander = multiply(ones, ones);
  const error = await fails(() => sums.read(), 'OUT_OF_MEMORY');
  assert.is((error as { op?: string }).op, 'linear');
  assert.equal([...(await bystander.read())], [1, 1, 1, 1]);
  for (const tensor of [column, ones, product, sums, bystander]) tensor.dispose();
});

test('a thousand training steps keep no memory', async () => {
  const width = sized(16, 512);
  const adapter = LoraAdapter.create(width, width, { rank: 4, alpha: 8 }, new Random(1), gpu);
  const optimizer = new AdamW([adapter.a, adapter.b]);
  const weight = Tensor.from(new Float32Array(width ** 2).fill(0.1), [width, width], {
    device: gpu,
  });
  const ones = Tensor.from(new Float32Array(width).fill(1), [width], { device: gpu });
  const x = Tensor.from(new Float32Array(4 * width).fill(0.5), [4, width], { device: gpu });
  const step = () =>
    scope(() => {
      const { a, b, scale } = adapter;
      const lora = { a: a.value, b: b.value, scale, dropout: 0.1, seed: 3 };
      const [y] = loraLinear(x, [{ weight, lora }]);
      rmsNorm(y!, ones, 1e-6).backward(x);
      const done = optimizer.step();
      optimizer.zeroGrad();
      return { done };
    }).done;
  for (let i = 0; i < 20; i++) await step();
  const before = { ...native().memory(gpu), card: cardMemoryUsed() };
  for (let i = 0; i < 1000; i++) await step();
  const after = { ...native().memory(gpu), card: cardMemoryUsed() };
  // What the dispatcher holds at this moment, and how blocks were shared, differs by a few of them;
  // a tensor kept in every step would be 64000 bytes at least.
  const slack = 60_000;
  const { inUse } = before;
  assert.ok(after.inUse <= inUse + slack, `${inUse} to ${after.inUse} bytes in use`);
  assert.is(after.tensors, before.tensors);
  const grown = after.inUse + after.cached - before.inUse - before.cached;
  assert.ok(grown <= slack, `the pool grew by ${grown} bytes`);
  // What ops take beside the pool shows here; the driver's blocks have 2 MiB at least.
  assert.ok(
    after.card === undefined || after.card <= (before.card ?? 0) + 2 ** 26,
    `${before.card} to ${after.card} bytes of the card are in use`,
  );
  for (const { value } of [adapter.a, adapter.b]) value.dispose();
  for (const tensor of [weight, ones, x]) tensor.dispose();
});

test("COMP's memory on a card stays below 6 GB at LLaMA-2-7B's widths", async () => {
  // Both widths of this model are a 64th of theirs, so its matrices are a 4096th.
  const scale = 64;
  const [samples, window, hidden] = [4, 8, 64];
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  native().resetPeakMemory(gpu);
  const { inUse } = native().memory(gpu);
  try {
    await prune(join(root, 'test/fixtures/stories260K'), {
      calibration: join(root, 'demo/text/calibration.txt'),
      output: join(directory, 'pruned'),
      ratio: 0.2,
      samples,
      window,
      layerShare: 0,
      device: gpu,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
  // The streams of both models, one number a token and column: they grow with the text.
  const streams = (tokens: number, columns: number) => 2 * 4 * tokens * columns;
  const matrices = native().memory(gpu).peak - inUse - streams(samples * window, hidden);
  const bytes = matrices * scale ** 2 + streams(128 * 128, hidden * scale);
  assert.ok(bytes < 6e9, `${(bytes / 1e9).toFixed(2)} GB`);
  assert.ok(bytes > 1e9, 'the peak was not measured');
});
