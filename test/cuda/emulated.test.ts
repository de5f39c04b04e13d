// Everything from the API down to the kernels on an emulated GPU, beside the CPU.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildEmulatedGpu } from '../../scripts/native-tests.mjs';
import { native } from '../../ts/native/addon.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { add } from '../../ts/ops/add.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { finetune } from '../../ts/training/finetune.js';
import { assert, close, fails, test } from '../harness.js';

process.env.ESPALIER_CUDA_LIB = buildEmulatedGpu();

const root = fileURLToPath(new URL('../..', import.meta.url));
const MODEL = join(root, 'test/fixtures/stories260K');
const CALIBRATION = join(root, 'demo/text/calibration.txt');
const STORIES = join(root, 'demo/text/stories.txt');
const DEVICES = ['cpu', 'cuda'] as const;

function inDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  return body(directory).finally(() => rmSync(directory, { recursive: true }));
}

/** Runs a test file in a process for which `auto` is the emulated GPU. */
function run(file: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

for (const file of [
  'test/models/conformance.test.ts',
  'test/models/training-conformance.test.ts',
]) {
  test(`models give what stock transformers and PEFT give: ${file}`, async () => {
    const { code, output } = await run(join(root, file));
    assert.is(code, 0, output);
  });
}

test('auto is the GPU where there is one, and tensors go there and back', async () => {
  const { device } = resolveDevice();
  assert.is(device, 'cuda:0');
  const x = Tensor.from([1, 2, 3, 4], [2, 2]);
  const there = x.to(device);
  assert.is(there.device, device);
  const sum = add(there, there);
  assert.equal([...((await sum.read()) as Float32Array)], [2, 4, 6, 8]);
  x.copyFrom(sum);
  assert.equal([...((await x.read()) as Float32Array)], [2, 4, 6, 8]);
  await fails(() => add(x, there), 'DEVICE_MISMATCH');
  await fails(() => x.to('cuda:7'), 'DEVICE_UNAVAILABLE');
  for (const tensor of [x, there, sum]) tensor.dispose();
});

test('running out of memory on the GPU fails the read and leaves the device usable', async () => {
  const { device } = resolveDevice('cuda');
  // More than the emulated card has.
  const huge = Tensor.zeros([2 ** 20, 2 ** 13], 'f32', device);
  const part = huge.slice(0, 1);
  await fails(() => part.read(), 'OUT_OF_MEMORY');
  for (const tensor of [huge, part]) tensor.dispose();
  const small = Tensor.from([7], [1], { device });
  assert.equal([...((await small.read()) as Float32Array)], [7]);
  small.dispose();
});

test('a model pruned on the GPU is as good as one pruned on the CPU', () =>
  inDirectory(async (directory) => {
    const options = {
      calibration: CALIBRATION,
      ratio: 0.2,
      samples: 6,
      window: 24,
      layerShare: 0,
    } as const;
    const perplexities: number[] = [];
    for (const device of DEVICES) {
      const output = join(directory, device);
      const result = await prune(MODEL, { ...options, output, device });
      assert.ok(result.ratio >= 0.2 && result.ratio < 0.215, `removed ${result.ratio}`);
      for (const judge of DEVICES) {
        const { perplexity } = await evaluate(output, {
          text: STORIES,
          window: 32,
          maxWindows: 2,
          device: judge,
        });
        perplexities.push(perplexity);
      }
    }
    const [first] = perplexities;
    close(
      perplexities,
      perplexities.map(() => first as number),
      5e-3,
    );
  }));

test('fine-tuning takes the same course on both, and leaves no tensor behind', () =>
  inDirectory(async (directory) => {
    const tensors = native().memory().tensors;
    const losses: number[] = [];
    for (const device of DEVICES) {
      const result = await finetune(MODEL, {
        data: [STORIES],
        output: join(directory, device),
        task: 'causal-lm',
        steps: 3,
        batchSize: 2,
        maxLength: 16,
        lr: 1e-2,
        loraDropout: 0.1,
        device,
      });
      losses.push(result.loss);
    }
    close(losses.slice(1), losses.slice(0, 1), 1e-4);
    assert.is(native().memory().tensors, tensors);
  }));
