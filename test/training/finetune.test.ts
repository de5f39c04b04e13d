import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadModel } from '../../ts/models/load-model.js';
import { AdamW } from '../../ts/nn/adamw.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { evaluateClassifier } from '../../ts/training/evaluate-classifier.js';
import { finetune } from '../../ts/training/finetune.js';
import type { FinetuneOptions } from '../../ts/training/finetune-options.js';
import { mergeAdapter } from '../../ts/training/merge-adapter.js';
import { readMetrics } from '../../ts/training/metrics-log.js';
import { Trainer } from '../../ts/training/trainer.js';
import { writeEncoderTokenizer } from '../data/tiny-tokenizers.js';
import { assert, close, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const demo = fileURLToPath(new URL('../../demo', import.meta.url));
const MODEL = join(demo, 'model');
const BERT = fileURLToPath(new URL('../fixtures/conformance/bert-classifier', import.meta.url));
const OZ = join(demo, 'text', 'wizard-of-oz.txt');

const parent = temporaryDirectory();
let made = 0;

/** A quick training on text that the model does not know. */
function quick(more: Partial<FinetuneOptions> = {}): FinetuneOptions {
  return {
    output: join(parent, `output-${made++}`),
    data: OZ,
    steps: 12,
    batchSize: 4,
    maxLength: 64,
    lr: 2e-3,
    loraDropout: 0.1,
    saveEvery: 5,
    ...more,
  };
}

const adapterOf = (directory: string) => readFileSync(join(directory, 'adapter_model.safetensors'));

/** Rows that one word decides. */
function labelled(count: number, first: number): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const happy = (i + first) % 2 === 0;
    const word = happy ? 'happy and glad' : 'sad and angry';
    return `${i % 3 === 0 ? 'the boy' : 'the girl'} was ${word}\t${happy ? 'good' : 'bad'}`;
  });
  const path = join(parent, `rows-${first}.tsv`);
  writeFileSync(path, `text\tlabel\n${rows.join('\n')}\n`);
  return path;
}

test('an adapter learns a text, and works attached, merged and loaded', async () => {
  const events: string[] = [];
  const options = quick({
    steps: 40,
    evalData: OZ,
    evalEvery: 20,
    onProgress: ({ phase }) => events.push(phase),
  });
  const result = await finetune(MODEL, options);
  assert.is(result.steps, 40);
  assert.is(result.tokens, 40 * 4 * 64);
  assert.ok(events.includes('train'));
  const metrics = await readMetrics(join(options.output, 'metrics.jsonl'));
  assert.is(metrics.filter((line) => line.loss !== undefined).length, 40);
  const heldOut = metrics.flatMap(({ evalLoss }) =>
    typeof evalLoss === 'number' ? [evalLoss] : [],
  );
  assert.is(heldOut.length, 2);
  assert.is(heldOut[1], result.heldOut?.loss);
  for (const file of ['run.json', 'loss.svg', 'adapter_config.json']) {
    assert.ok(existsSync(join(options.output, file)), file);
  }
  const window = { text: OZ, window: 64, maxWindows: 40 };
  const before = await evaluate(MODEL, window);
  const attached = await evaluate(MODEL, { ...window, adapter: options.output });
  assert.ok(attached.nll < before.nll - 0.1, `${attached.nll} is not below ${before.nll}`);
  const merged = join(parent, 'merged');
  await mergeAdapter(MODEL, options.output, { output: merged });
  close([(await evaluate(merged, window)).nll], [attached.nll], 1e-5);
  const model = await loadModel(MODEL, { adapter: options.output });
  assert.is([...model.trainableParameters()].length, 5 * 7 * 2);
  model.dispose();
});

test('the same seed gives the same bytes, also across an interruption', async () => {
  const whole = quick();
  await finetune(MODEL, whole);
  const again = quick();
  await finetune(MODEL, again);
  assert.ok(adapterOf(whole.output).equals(adapterOf(again.output)));
  const broken = quick();
  const controller = new AbortController();
  const stop = finetune(MODEL, {
    ...broken,
    signal: controller.signal,
    onProgress: ({ phase, completed }) => {
      if (phase === 'train' && completed === 7) controller.abort();
    },
  });
  await fails(() => stop, 'ABORTED');
  assert.not.ok(existsSync(broken.output));
  await fails(() => finetune(MODEL, broken), 'CONFIG');
  await fails(() => finetune(MODEL, { ...broken, lr: 1, resume: true }), 'CONFIG');
  await finetune(MODEL, { ...broken, resume: true });
  assert.ok(adapterOf(whole.output).equals(adapterOf(broken.output)));
  assert.equal(
    await readMetrics(join(broken.output, 'metrics.jsonl')),
    await readMetrics(join(whole.output, 'metrics.jsonl')),
  );
});

test('accumulated batches make the step of one large batch', async () => {
  const random = new Random(5);
  const ids = Int32Array.from({ length: 6 * 20 }, () => 3 + random.integer(90));
  const rows = (first: number, count: number) => ({
    inputIds: ids.subarray(first * 20, (first + count) * 20),
    batch: count,
    sequence: 20,
  });
  const losses: number[][] = [];
  for (const batches of [[rows(0, 6)], [rows(0, 1), rows(1, 3), rows(4, 2)]]) {
    const model = await loadModel(MODEL);
    model.adopt(createAdapterSet(model, makeAdapterConfig({ r: 4 }), 1));
    const optimizer = new AdamW(model.trainableParameters());
    const trainer = new Trainer(model, { optimizer, schedule: () => 1e-3 });
    const steps: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { loss, gradNorm, tokens } = await trainer.step(batches);
      steps.push(loss, gradNorm);
      assert.is(tokens, 120);
    }
    losses.push(steps);
    optimizer.dispose();
    model.dispose();
  }
  close(losses[1] as number[], losses[0] as number[], 1e-5);
});

test('only the last layers are trained, and what is below them can be kept', async () => {
  const plain = quick({ loraLayers: { last: 2 }, loraDropout: 0 });
  const kept = quick({ loraLayers: { last: 2 }, loraDropout: 0, prefixCache: 1 << 28 });
  await finetune(MODEL, plain);
  await finetune(MODEL, kept);
  const config = JSON.parse(readFileSync(join(plain.output, 'adapter_config.json'), 'utf8'));
  assert.equal(config.layers_to_transform, [3, 4]);
  const losses = async (directory: string) =>
    (await readMetrics(join(directory, 'metrics.jsonl'))).map(({ loss }) => loss as number);
  close(await losses(kept.output), await losses(plain.output), 1e-5);
});

test('an encoder keeps its frozen layers once they do not drop out, also over an interruption', async () => {
  const bert = join(parent, 'bert');
  mkdirSync(bert);
  for (const file of ['config.json', 'model.safetensors']) {
    cpSync(join(BERT, file), join(bert, file));
  }
  writeEncoderTokenizer(bert);
  const data = join(parent, 'animals.tsv');
  const rows = ['the cat sat\tcat', 'the dog ran on the mat\tdog', 'a cat . b c\tcat', 'dog\tdog'];
  writeFileSync(data, `text\tlabel\n${rows.join('\n')}\n`);
  const classify = (more: Partial<FinetuneOptions>) =>
    quick({
      task: 'classify',
      data,
      batchSize: 3,
      loraDropout: 0,
      loraLayers: { last: 1 },
      evalData: data,
      ...more,
    });
  const error = await fails(() => finetune(bert, classify({ prefixCache: 1 << 20 })), 'CONFIG');
  assert.match(error.message, /prefixCache.*0\.1/);
  const wrong = quick({ hiddenDropout: 0 });
  assert.match((await fails(() => finetune(MODEL, wrong), 'CONFIG')).message, /hiddenDropout/);
  const plain = classify({ hiddenDropout: 0 });
  const kept = classify({ hiddenDropout: 0, prefixCache: 1 << 20 });
  await finetune(bert, plain);
  await finetune(bert, kept);
  const losses = async ({ output }: FinetuneOptions) =>
    (await readMetrics(join(output, 'metrics.jsonl'))).map((line) => line.loss ?? line.evalLoss);
  close((await losses(kept)) as number[], (await losses(plain)) as number[], 1e-4);
  const broken = classify({ hiddenDropout: 0, prefixCache: 1 << 20 });
  const controller = new AbortController();
  await fails(
    () =>
      finetune(bert, {
        ...broken,
        signal: controller.signal,
        onProgress: ({ phase, completed }) => {
          if (phase === 'train' && completed === 7) controller.abort();
        },
      }),
    'ABORTED',
  );
  await finetune(bert, { ...broken, resume: true });
  assert.ok(adapterOf(kept.output).equals(adapterOf(broken.output)));
});

test('a classifier learns what a word decides, and is judged with its adapter', async () => {
  const data = labelled(60, 0);
  const options = quick({ task: 'classify', data, evalData: labelled(20, 1), steps: 30, lr: 5e-3 });
  const result = await finetune(MODEL, options);
  assert.equal(result.labels, ['bad', 'good']);
  assert.is(result.heldOut?.accuracy, 1);
  const judged = await evaluateClassifier(MODEL, { data, adapter: options.output });
  assert.is(judged.accuracy, 1);
  assert.is(judged.samples, 60);
  assert.equal(judged.confusion, [
    [30, 0],
    [0, 30],
  ]);
  const limited = await evaluateClassifier(MODEL, { data, adapter: options.output, limit: 7 });
  assert.is(limited.samples, 7);
});

test('full fine-tuning gives a model that loads without an adapter', async () => {
  const options = quick({ full: true, lr: 2e-4, loraDropout: 0, steps: 40 });
  const result = await finetune(MODEL, options);
  assert.is(result.trainedParameters, 936_448);
  const window = { text: OZ, window: 64, maxWindows: 40 };
  const [before, after] = [await evaluate(MODEL, window), await evaluate(options.output, window)];
  assert.ok(after.nll < before.nll - 0.1, `${after.nll} is not below ${before.nll}`);
});

test('training stops early at the best evaluation', async () => {
  const data = join(parent, 'tiny.jsonl');
  writeFileSync(
    data,
    `${JSON.stringify({ text: 'once upon a time there was a dog' })}\n`.repeat(4),
  );
  const options = quick({
    data,
    evalData: OZ,
    evalEvery: 2,
    earlyStopping: 2,
    steps: 200,
    lr: 3e-2,
  });
  const result = await finetune(MODEL, options);
  assert.ok(result.stoppedEarly);
  const losses = (await readMetrics(join(options.output, 'metrics.jsonl'))).flatMap(
    ({ evalLoss }) => (typeof evalLoss === 'number' ? [evalLoss] : []),
  );
  assert.is(result.heldOut?.loss, Math.min(...losses));
});

test('a training that blows up ends with the reason and leaves nothing', async () => {
  const options = quick({ lr: 1e30, maxGradNorm: 0, steps: 100, saveEvery: 1000 });
  const error = await fails(() => finetune(MODEL, options), 'NUMERIC');
  assert.match(error.message, 'not finite');
  assert.not.ok(existsSync(options.output));
  assert.not.ok(existsSync(`${options.output}.partial`));
});

test('options and data that make no sense are refused by name', async () => {
  const empty = join(parent, 'empty.txt');
  writeFileSync(empty, '');
  const bad = join(parent, 'bad.jsonl');
  writeFileSync(bad, '{"text": "fine"}\n{"text": 7}\n');
  const cases: [Partial<FinetuneOptions>, string, RegExp][] = [
    [{ loraR: 0 }, 'CONFIG', /loraR/],
    [{ loraR: 4096 }, 'CONFIG', /rank/],
    [{ targetModules: ['nothing'] }, 'CONFIG', /q_proj/],
    [{ epochs: 1 }, 'CONFIG', /steps/],
    [{ loraDropout: 1 }, 'CONFIG', /loraDropout/],
    [{ data: [] }, 'CONFIG', /data/],
    [{ data: empty }, 'CONFIG', /./],
    [{ data: join(parent, 'missing.txt') }, 'CONFIG', /missing/],
    [{ data: bad }, 'FORMAT', /bad\.jsonl.*2/],
    [{ task: 'instruct' }, 'CONFIG', /instructions/],
    [{ earlyStopping: 1 }, 'CONFIG', /evalData/],
    [{ output: MODEL, force: true }, 'CONFIG', /output/],
  ];
  for (const [more, code, message] of cases) {
    const error = await fails(() => finetune(MODEL, quick(more)), code);
    assert.match(`${error.message} ${(error as { remedy?: string }).remedy ?? ''}`, message);
  }
});
