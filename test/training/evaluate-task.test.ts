import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProgressEvent } from '../../ts/common/events.js';
import { Random } from '../../ts/common/random.js';
import { readQuestions } from '../../ts/data/tasks/read-questions.js';
import { TASK_NAMES, TASKS, type TaskName } from '../../ts/data/tasks/tasks.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { readAdapter, writeAdapter } from '../../ts/formats/peft-adapter.js';
import { adapterFileOf, createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadModel } from '../../ts/models/load-model.js';
import {
  type EvaluateTaskOptions,
  evaluateTask,
  type ScoredQuestion,
} from '../../ts/training/evaluate-task.js';
import { mergeAdapter } from '../../ts/training/merge-adapter.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, close, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const babyllama = path('demo/model');
const stories260K = path('test/fixtures/stories260K');
const fixture = (task: TaskName) =>
  path(`test/fixtures/tasks/${task.startsWith('arc') ? 'arc' : task}.jsonl`);

async function scored(
  model: string,
  options: EvaluateTaskOptions,
): Promise<{ result: Awaited<ReturnType<typeof evaluateTask>>; questions: ScoredQuestion[] }> {
  const questions: ScoredQuestion[] = [];
  const result = await evaluateTask(model, {
    ...options,
    onQuestion: (question) => questions.push(question),
  });
  return { result, questions };
}

/** Every choice alone, from the logits of its whole text, in double precision. */
async function bruteForce(directory: string, task: TaskName): Promise<number[][]> {
  const tokenizer = await Tokenizer.open(directory);
  const model = await loadModel(directory);
  const { vocabSize, maxPositionEmbeddings } = model.config;
  const results: number[][] = [];
  for await (const { choices } of readQuestions(fixture(task), TASKS[task])) {
    const values: number[] = [];
    for (const { context, continuation } of choices) {
      const before = [...(await tokenizer.encode(context.trimEnd()))];
      const whole = [...(await tokenizer.encode(context + continuation))];
      const wanted = whole.slice(before.length);
      const ids = [...before, ...wanted].slice(-maxPositionEmbeddings - 1);
      const logits = model.forward([ids.slice(0, -1)]);
      const all = await logits.read();
      logits.dispose();
      let sum = 0;
      for (const [i, id] of wanted.entries()) {
        const at = ids.length - 1 - wanted.length + i;
        const row = [...(all as Float32Array).subarray(at * vocabSize, (at + 1) * vocabSize)];
        const most = Math.max(...row);
        const total = row.reduce((x, y) => x + Math.exp(y - most), 0);
        sum += (row[id] as number) - most - Math.log(total);
      }
      values.push(sum);
    }
    results.push(values);
  }
  model.dispose();
  await tokenizer.dispose();
  return results;
}

test('choices are as likely as when each is computed alone', async () => {
  for (const model of [stories260K, babyllama]) {
    for (const task of model === babyllama ? (['boolq', 'winogrande'] as const) : TASK_NAMES) {
      const expected = await bruteForce(model, task);
      const { questions } = await scored(model, { task, data: fixture(task) });
      assert.is(questions.length, expected.length);
      for (const [i, { logLikelihoods, best }] of questions.entries()) {
        close(logLikelihoods, expected[i] as number[], 2e-5);
        assert.is(best, logLikelihoods.indexOf(Math.max(...logLikelihoods)));
      }
    }
  }
});

test('a context that is too long loses its beginning', async () => {
  // Characters as tokens, 256 positions: the story of the bear does not fit.
  const { result } = await scored(babyllama, { task: 'boolq', data: fixture('boolq') });
  assert.is(result.truncated, 2);
  const short = await scored(stories260K, { task: 'boolq', data: fixture('boolq') });
  assert.is(short.result.truncated, 0);
});

test('evaluating layer by layer changes nothing', async () => {
  const options = { task: 'arc_easy', data: fixture('arc_easy') } as const;
  const whole = await scored(babyllama, options);
  const layers = await scored(babyllama, { ...options, maxMemory: '203MB' });
  for (const [i, { logLikelihoods }] of layers.questions.entries()) {
    close(logLikelihoods, whole.questions[i]!.logLikelihoods, 1e-6);
  }
  await fails(() => evaluateTask(babyllama, { ...options, maxMemory: '10MB' }), 'CONFIG');
});

/** An adapter that changes every layer, and the model with it merged in. */
async function adapted(model: string): Promise<{ adapter: string; merged: string }> {
  const parent = temporaryDirectory();
  const [adapter, merged] = [join(parent, 'adapter'), join(parent, 'merged')];
  const base = await loadModel(model);
  const targetModules = ['q_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'];
  const config = makeAdapterConfig({ r: 3, loraAlpha: 6, targetModules });
  const set = createAdapterSet(base, config, 3);
  const random = new Random(4);
  for (const { b } of set.adapters.values()) {
    const values = Float32Array.from({ length: b.size }, () => 0.05 * random.normal());
    b.value.copyFrom(Tensor.from(values, b.value.shape));
  }
  await writeAdapter(adapter, await adapterFileOf(set, config));
  set.dispose();
  base.dispose();
  await mergeAdapter(model, adapter, { output: merged });
  return { adapter, merged };
}

test('with an adapter, choices are as likely as in the merged model', async () => {
  for (const model of [stories260K, babyllama]) {
    const { adapter, merged } = await adapted(model);
    for (const task of ['boolq', 'hellaswag'] as const) {
      if (model === babyllama && task === 'hellaswag') continue;
      const options = { task, data: fixture(task), dtype: 'f32' } as const;
      const base = await scored(model, options);
      const expected = await scored(merged, options);
      const resident = await scored(model, { ...options, adapter });
      const layers = await scored(model, { ...options, adapter, maxMemory: '203MB' });
      for (const { questions } of [resident, layers]) {
        for (const [i, { logLikelihoods, best }] of questions.entries()) {
          close(logLikelihoods, expected.questions[i]!.logLikelihoods, 1e-4);
          assert.is(best, expected.questions[i]!.best);
        }
      }
      const moved = resident.questions.some(({ logLikelihoods }, i) =>
        logLikelihoods.some((x, c) => {
          const before = base.questions[i]!.logLikelihoods[c] as number;
          return Math.abs(x - before) > 0.01 * Math.abs(before);
        }),
      );
      assert.ok(moved, 'the adapter changes nothing');
      assert.is(resident.result.acc, expected.result.acc);
    }
    const other = model === babyllama ? stories260K : babyllama;
    const options = { task: 'boolq', data: fixture('boolq'), adapter } as const;
    const error = await fails(() => evaluateTask(other, options), 'CONFIG');
    assert.match(error.message, /adapts model\.layers/);
  }
});

test('an adapter that replaces whole tensors is refused by name', async () => {
  const { adapter } = await adapted(stories260K);
  const file = await readAdapter(adapter);
  const config = makeAdapterConfig({ ...file.config, modulesToSave: ['lm_head'] });
  const shape = [512, 64];
  const data = new Float32Array(512 * 64);
  const modulesToSave = new Map([['lm_head.weight', { shape, data }]]);
  const whole = join(temporaryDirectory(), 'whole');
  await writeAdapter(whole, { ...file, config, modulesToSave });
  const options = { task: 'boolq', data: fixture('boolq'), adapter: whole } as const;
  const error = await fails(() => evaluateTask(stories260K, options), 'UNSUPPORTED');
  assert.match(error.message, /lm_head\.weight/);
  const loading = await fails(() => loadModel(stories260K, { adapter: whole }), 'UNSUPPORTED');
  assert.match(loading.message, /lm_head\.weight/);
});

test('the result says what was measured', async () => {
  const { result, questions } = await scored(stories260K, { task: 'piqa', data: fixture('piqa') });
  const right = questions.filter(({ best, gold }) => best === gold).length;
  assert.is(result.acc, right / 4);
  close([result.accStderr], [Math.sqrt((result.acc * (1 - result.acc)) / 3)], 1e-12);
  assert.ok(result.accNorm !== undefined && result.accBytes !== undefined);
  assert.equal([result.questions, result.choices, result.truncated], [4, 8, 0]);
  assert.equal(
    questions.map(({ line }) => line),
    [1, 2, 3, 4],
  );
  assert.equal(
    questions.map(({ gold }) => gold),
    [0, 1, 0, 1],
  );
  const boolq = await scored(stories260K, { task: 'boolq', data: fixture('boolq'), limit: 2 });
  assert.is(boolq.result.questions, 2);
  assert.is(boolq.result.accNorm, undefined);
});

test('progress counts questions, and aborting ends it', async () => {
  const options = { task: 'arc_easy', data: fixture('arc_easy') } as const;
  const events: ProgressEvent[] = [];
  await evaluateTask(stories260K, { ...options, onProgress: (event) => events.push(event) });
  assert.is(events[0]?.completed, 0);
  assert.is(events.at(-1)?.completed, 5);
  assert.ok(events.every(({ total, unit }) => total === 5 && unit === 'questions'));
  await fails(
    () => evaluateTask(stories260K, { ...options, signal: AbortSignal.abort() }),
    'ABORTED',
  );
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const { signal } = controller;
  await fails(() => evaluateTask(stories260K, { ...options, signal, onProgress }), 'ABORTED');
});

test('options and rows that make no sense are refused', async () => {
  const directory = temporaryDirectory();
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const data = fixture('arc_easy');
  const cases: [EvaluateTaskOptions, string][] = [
    [{ task: 'mmlu' as TaskName, data }, 'CONFIG'],
    [{ task: 'arc_easy', data, limit: 0 }, 'CONFIG'],
    [{ task: 'arc_easy', data, labels: data }, 'CONFIG'],
    [{ task: 'arc_easy', data: join(directory, 'none') }, 'CONFIG'],
    [{ task: 'arc_easy', data: file('empty', '\n \n') }, 'CONFIG'],
    [{ task: 'boolq', data }, 'FORMAT'],
    [{ task: 'arc_easy', data, device: 'cuda' }, 'DEVICE_UNAVAILABLE'],
  ];
  for (const [options, code] of cases) await fails(() => evaluateTask(babyllama, options), code);
  const long = { sentence: `_ ${'a'.repeat(300)}`, option1: 'x', option2: 'y', answer: '1' };
  const winogrande = file('long.jsonl', JSON.stringify(long));
  const error = await fails(
    () => evaluateTask(babyllama, { task: 'winogrande', data: winogrande }),
    'CONFIG',
  );
  assert.match(error.message, /long\.jsonl, line 1: .* 256 positions/);
});
