import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProgressEvent } from '../../ts/common/events.js';
import { cutWindows, windowIds } from '../../ts/data/text-windows.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { loadModel } from '../../ts/models/load-model.js';
import { native } from '../../ts/native/addon.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { type EvaluateOptions, evaluate } from '../../ts/training/evaluate.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const babyllama = path('demo/model');
const stories260K = path('test/fixtures/stories260K');
const stories = path('demo/text/stories.txt');
const wizard = path('demo/text/wizard-of-oz.txt');

function near(got: number, expected: number, tolerance = 1e-4): void {
  assert.ok(Math.abs(got / expected - 1) <= tolerance, `expected ${expected}, got ${got}`);
}

test('perplexity is that of stock transformers', async () => {
  // Negative log-likelihoods made with transformers 5.23.0 and torch 2.15.0 in f32.
  const golden: [string, EvaluateOptions, number][] = [
    [babyllama, { text: wizard, window: 64, maxWindows: 100 }, 1.7418237626552582],
    [babyllama, { text: stories, window: 128, maxWindows: 100 }, 0.6922870326042175],
    [stories260K, { text: stories }, 2.0268696332589173],
  ];
  for (const [model, options, nll] of golden) {
    const result = await evaluate(model, options);
    near(result.nll, nll);
    near(result.perplexity, Math.exp(nll));
  }
});

test('bf16 products change the perplexity by less than a hundredth', async () => {
  for (const model of [babyllama, stories260K]) {
    const options = { text: stories, window: 128, maxWindows: 20 };
    const exact = await evaluate(model, { ...options, dtype: 'f32' });
    const rounded = await evaluate(model, { ...options, dtype: 'bf16' });
    assert.is(rounded.dtype, 'bf16');
    assert.is.not(rounded.nll, exact.nll);
    near(rounded.perplexity, exact.perplexity, 1e-2);
  }
});

test('the result says what was measured', async () => {
  const result = await evaluate(stories260K, { text: stories, window: 64, maxWindows: 7 });
  assert.is(result.tokens, 34996);
  assert.is(result.windows, 7);
  assert.is(result.window, 64);
  assert.is(result.stride, 64);
  assert.is(result.device, 'cpu');
  assert.is(result.dtype, 'f32');
  assert.is(result.model, stories260K);
  near(result.tokensPerSecond * result.seconds, 7 * 64);
  near(result.bitsPerByte, ((result.nll / Math.LN2) * 34996) / 79963);
  assert.ok(result.peakMemoryBytes > 10e6);
  assert.match(result.version, /^\d+\.\d+\.\d+/);
});

test('a stride counts only the new tokens of each window', async () => {
  const options = { window: 32, stride: 10, maxWindows: 9 };
  const result = await evaluate(stories260K, { text: stories, ...options });
  const tokenizer = await Tokenizer.open(stories260K);
  const { ids } = await tokenizer.encodeFile(stories);
  await tokenizer.dispose();
  const model = await loadModel(stories260K);
  const windows = cutWindows(ids, options);
  let sum = 0;
  for (let i = 0; i < windows.count; i++) {
    const losses = [...(await model.tokenLosses([[...windowIds(windows, i, i + 1)]]))];
    const counted = i === 0 ? losses : losses.slice(-10);
    sum += counted.reduce((total, loss) => total + loss, 0) / counted.length;
  }
  model.dispose();
  near(result.nll, sum / windows.count, 1e-6);
});

test('batches, and evaluating layer by layer, change nothing', async () => {
  const text = stories;
  const whole = await evaluate(babyllama, { text, maxWindows: 11 });
  for (const options of [
    { batch: 1 },
    { batch: 4 },
    { batch: 100 },
    { maxMemory: '203MB' },
    { maxMemory: 206.5e6, batch: 2 },
  ]) {
    const result = await evaluate(babyllama, { text, maxWindows: 11, ...options });
    near(result.nll, whole.nll, 1e-6);
  }
  await fails(() => evaluate(babyllama, { text, maxMemory: '10MB' }), 'CONFIG');
});

test('progress counts up to the number of windows', async () => {
  const events: ProgressEvent[] = [];
  await evaluate(stories260K, {
    text: stories,
    maxWindows: 40,
    batch: 8,
    onProgress: (event) => events.push(event),
  });
  const counts = events.filter((event) => event.phase === 'evaluate');
  assert.equal(
    counts.map((event) => event.completed),
    [0, 8, 16, 24, 32, 40],
  );
  assert.ok(counts.every((event) => event.total === 40 && event.unit === 'windows'));
});

test('aborting ends it within a second, before and during the work', async () => {
  await fails(() => evaluate(babyllama, { text: stories, signal: AbortSignal.abort() }), 'ABORTED');
  const controller = new AbortController();
  let stopped = 0;
  const onProgress = ({ phase, completed }: ProgressEvent) => {
    if (phase !== 'evaluate' || completed === 0) return;
    stopped ||= performance.now();
    controller.abort();
  };
  const { signal } = controller;
  await fails(
    () => evaluate(babyllama, { text: stories, batch: 2, signal, onProgress }),
    'ABORTED',
  );
  assert.ok(performance.now() - stopped < 1000);
});

test('aborting ends it while weights are still being loaded', async () => {
  const loading = async (at: number): Promise<number> => {
    const controller = new AbortController();
    const onProgress = ({ phase, completed }: ProgressEvent) => {
      if (phase === 'evaluate' && completed === at) controller.abort();
    };
    const { signal } = controller;
    // What an aborted evaluation had queued ends first.
    const last = Tensor.from(new Float32Array(1), [1]);
    await last.read();
    last.dispose();
    native().resetPeakMemory('cpu');
    const before = native().memory('cpu').inUse;
    const options = { text: stories, batch: 1, dtype: 'bf16', signal, onProgress } as const;
    await fails(() => evaluate(babyllama, options), 'ABORTED');
    return native().memory('cpu').peak - before;
  };
  const layer = 2 * (2 * 128 * 128 + 2 * 64 * 128 + 3 * 128 * 352);
  assert.ok((await loading(0)) < layer);
  assert.ok((await loading(1)) > 5 * layer);
});

test('options and texts that make no sense are refused', async () => {
  const directory = temporaryDirectory();
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const text = stories;
  for (const options of [
    { text, window: 1 },
    { text, window: 257 },
    { text, window: Number.NaN },
    { text, stride: 0 },
    { text, stride: 129 },
    { text, maxWindows: 0 },
    { text, batch: 0 },
    { text, batch: 1.5 },
    { text, maxMemory: 'much' },
    { text, dtype: 'int4' as 'f32' },
    { text: join(directory, 'none') },
    { text: file('empty', '') },
    { text: file('one', 'x') },
  ]) {
    await fails(() => evaluate(babyllama, options), 'CONFIG');
  }
  await fails(() => evaluate(babyllama, { text, device: 'cuda' }), 'DEVICE_UNAVAILABLE');
  await fails(() => evaluate(babyllama, { text: file('binary', Buffer.of(255, 0)) }), 'FORMAT');
});
