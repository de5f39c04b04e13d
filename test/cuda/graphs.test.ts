// Training and judging with CUDA graphs and without.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { multiply } from '../../ts/ops/multiply.js';
import { region } from '../../ts/tensor/region.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { finetune } from '../../ts/training/finetune.js';
import { assert, test } from '../harness.js';
import { emulated, gpu, root, sized } from './gpu.js';

const MODEL = join(root, sized('test/fixtures/stories260K', 'demo/model'));
const STORIES = join(root, 'demo/text/stories.txt');

/** What training on `device` writes, hashed, and how the trained model does. */
async function trained(device: string): Promise<{ hash: string; perplexity: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  try {
    const output = join(directory, 'adapter');
    await finetune(MODEL, {
      data: [STORIES],
      output,
      task: 'causal-lm',
      steps: sized(4, 50),
      batchSize: 2,
      maxLength: sized(16, 128),
      lr: 1e-3,
      loraDropout: 0.1,
      device,
    });
    const { perplexity } = await evaluate(MODEL, {
      text: STORIES,
      adapter: output,
      device,
      ...sized({ window: 32, maxWindows: 3, batch: 1 }, { window: 128 }),
    });
    const file = readFileSync(join(output, 'adapter_model.safetensors'));
    return { hash: createHash('sha256').update(file).digest('hex'), perplexity };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// On a real card the native tests compare; two of them need not be alike.
if (emulated) {
  test('training and evaluation give the same bits with graphs and without', async () => {
    const withGraphs = await trained(gpu);
    // Read when a card is first used.
    process.env.ESPALIER_CUDA_GRAPHS = '0';
    const second = resolveDevice('cuda:1').device;
    assert.equal(await trained(second), withGraphs);
    delete process.env.ESPALIER_CUDA_GRAPHS;
  });
}

test('a region ends when its body throws, and one inside another is part of it', async () => {
  const x = Tensor.from([1, 2, 3], [3], { device: gpu });
  for (let i = 0; i < 3; i++) {
    assert.throws(() =>
      region(gpu, 'throwing', () => {
        region(gpu, 'inner', () => multiply(x, x).dispose());
        throw new Error('stop');
      }),
    );
    const y = region(gpu, 'throwing', () => region(gpu, 'inner', () => multiply(x, x)));
    assert.equal([...(await y.read())], [1, 4, 9]);
    y.dispose();
  }
  x.dispose();
});
