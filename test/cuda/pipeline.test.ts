// Prune, fine-tune and evaluate on the GPU, beside the CPU and beside itself.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../ts/native/addon.js';
import { prune } from '../../ts/systems/comp/prune.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { finetune } from '../../ts/training/finetune.js';
import { assert, close, test } from '../harness.js';
import { gpu, root, sized, useStandIns } from './gpu.js';

useStandIns();

const MODEL = join(root, sized('test/fixtures/stories260K', 'demo/model'));
const CALIBRATION = join(root, 'demo/text/calibration.txt');
const STORIES = join(root, 'demo/text/stories.txt');
const DEVICES = ['cpu', gpu];

function inDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'espalier-'));
  return body(directory).finally(() => rmSync(directory, { recursive: true }));
}

const pruned = (output: string, device: string) =>
  prune(MODEL, {
    calibration: CALIBRATION,
    ratio: 0.2,
    output,
    device,
    ...sized({ samples: 6, window: 24, layerShare: 0 }, { samples: 64, window: 128 }),
  });

const trained = (model: string, output: string, device: string) =>
  finetune(model, {
    data: [STORIES],
    output,
    task: 'causal-lm',
    lr: 1e-3,
    loraDropout: 0.1,
    device,
    ...sized(
      { steps: 3, batchSize: 2, maxLength: 16 },
      { steps: 100, batchSize: 8, maxLength: 128 },
    ),
  });

const judged = async (model: string, device: string, adapter?: string) => {
  const options = {
    text: STORIES,
    device,
    ...(adapter === undefined ? {} : { adapter }),
    ...sized({ window: 32, maxWindows: 2 }, { window: 128 }),
  };
  return (await evaluate(model, options)).perplexity;
};

const hash = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

test('a model that is pruned, trained and judged on the GPU is as good as on the CPU, and leaves no tensor', () =>
  inDirectory(async (directory) => {
    const { tensors } = native().memory();
    const perplexities: number[] = [];
    const losses: number[] = [];
    for (const device of DEVICES) {
      const [model, adapter] = ['model', 'adapter'].map((name) =>
        join(directory, `${name}-${device.replace(':', '-')}`),
      ) as [string, string];
      const { ratio } = await pruned(model, device);
      assert.ok(ratio >= 0.2 && ratio < 0.215, `removed ${ratio}`);
      losses.push((await trained(model, adapter, device)).loss);
      for (const judge of DEVICES) {
        perplexities.push(await judged(model, judge), await judged(model, judge, adapter));
      }
    }
    const [before, after] = perplexities;
    const expected = perplexities.map((_, i) => (i % 2 === 0 ? before : after) as number);
    close(perplexities, expected, 5e-3);
    close(losses.slice(1), losses.slice(0, 1), sized(5e-3, 2e-2));
    assert.is(native().memory().tensors, tensors);
  }));

test('units are scored by gradients on the GPU too', () =>
  inDirectory(async (directory) => {
    const { ratio } = await prune(MODEL, {
      method: 'taylor',
      calibration: CALIBRATION,
      ratio: 0.2,
      output: join(directory, 'model'),
      device: gpu,
      gradientSamples: 2,
      ...sized({ samples: 4, window: 16 }, { samples: 64, window: 128 }),
    });
    assert.ok(ratio >= 0.2 && ratio < 0.25, `removed ${ratio}`);
  }));

test('the GPU gives the same bytes in every run', () =>
  inDirectory(async (directory) => {
    const hashes: string[] = [];
    for (const run of ['first', 'second']) {
      const [model, adapter] = [join(directory, run), join(directory, `${run}-adapter`)];
      await pruned(model, gpu);
      await trained(MODEL, adapter, gpu);
      hashes.push(
        hash(join(model, 'model.safetensors')) + hash(join(adapter, 'adapter_model.safetensors')),
      );
    }
    assert.is(hashes[1], hashes[0]);
  }));

test('training takes the same course on both devices while steps are few', () =>
  inDirectory(async (directory) => {
    const losses: number[] = [];
    for (const device of DEVICES) {
      const { loss } = await finetune(MODEL, {
        data: [STORIES],
        output: join(directory, device.replace(':', '-')),
        task: 'causal-lm',
        steps: 3,
        batchSize: 2,
        maxLength: 16,
        lr: 1e-2,
        loraDropout: 0.1,
        device,
      });
      losses.push(loss);
    }
    close(losses.slice(1), losses.slice(0, 1), 1e-4);
  }));
