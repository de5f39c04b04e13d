import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EspalierError } from '../../ts/common/errors.js';
import { evaluateClassifier } from '../../ts/training/evaluate-classifier.js';
import { finetune } from '../../ts/training/finetune.js';
import type { FinetuneOptions } from '../../ts/training/finetune-options.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { cli, root } from '../cli/spawn-cli.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const MODEL = join(root, 'demo', 'model');
const parent = temporaryDirectory();
let made = 0;

function file(name: string, content: string): string {
  const path = join(parent, `${made++}-${name}`);
  writeFileSync(path, content);
  return path;
}

const train = (more: Partial<FinetuneOptions> & { data: string }) => {
  const output = join(parent, `output-${made++}`);
  return finetune(MODEL, { output, steps: 2, batchSize: 2, maxLength: 64, ...more });
};

const TWO = 'text,label\nthe boy was happy,good\nthe boy was sad,bad\n';
const LONG = 'the dog saw the boy. '.repeat(500);

test('data without a sample is refused by the name of the file', async () => {
  const cases: [string, string, FinetuneOptions['task']][] = [
    ['a.txt', '', 'causal-lm'],
    ['a.jsonl', '', 'causal-lm'],
    ['a.jsonl', '\n\n', 'instruct'],
    ['a.csv', '', 'classify'],
    ['a.tsv', 'text\tlabel\n', 'classify'],
    ['a.jsonl', '', 'classify'],
  ];
  for (const [name, content, task = 'causal-lm'] of cases) {
    const data = file(name, content);
    for (const packing of name === 'a.jsonl' ? [false, true] : [false]) {
      const error = await fails(() => train({ data, task, packing }), 'CONFIG');
      assert.match(error.message, `nothing to learn from in ${data}`);
      assert.ok((error as EspalierError).remedy);
    }
  }
  const evalData = file('b.csv', 'text,label\n');
  const data = file('a.csv', TWO);
  const error = await fails(() => train({ data, evalData, task: 'classify' }), 'CONFIG');
  assert.match(error.message, evalData);
  const bad = file('bad.jsonl', '{"text": ""}\n');
  const left = await fails(() => train({ data: bad, skipBadRows: true }), 'CONFIG');
  assert.match(left.message, /1 rows could not be used/);
});

test('rows with empty texts are named by their line', async () => {
  const cases: [string, string, number, FinetuneOptions['task']][] = [
    ['a.jsonl', '{"text": "the dog"}\n{"text": ""}\n', 2, 'causal-lm'],
    ['a.jsonl', '{"prompt": "the dog", "completion": ""}\n', 1, 'instruct'],
    ['a.jsonl', '{"messages": []}\n', 1, 'instruct'],
    ['a.csv', `${TWO},good\n`, 4, 'classify'],
    ['a.csv', `${TWO}the girl,\n`, 4, 'classify'],
  ];
  for (const [name, content, line, task = 'causal-lm'] of cases) {
    const data = file(name, content);
    const { message } = await fails(() => train({ data, task }), 'FORMAT');
    assert.match(message, `${data}, line ${line}: `);
  }
});

test('a single sample is enough, to learn from and to measure on', async () => {
  const one = { data: file('a.jsonl', '{"text": "the dog saw the boy"}\n') };
  const result = await train({ ...one, evalData: file('b.jsonl', '{"text": "the boy"}\n') });
  assert.is(result.samples, 1);
  assert.is(result.steps, 2);
  assert.ok(Number.isFinite(result.loss) && Number.isFinite(result.heldOut?.loss));
  assert.is((await train({ data: file('a.txt', 'the') })).samples, 1);
  const single = await fails(
    () => train({ data: file('a.csv', 'text,label\nthe boy,good\n'), task: 'classify' }),
    'CONFIG',
  );
  assert.match(single.message, '1 classes (good)');
});

test('samples longer than the model has positions are cut', async () => {
  const positions = 256;
  const long = { maxLength: 100_000, batchSize: 1, steps: 1 };
  const row = await train({
    data: file('a.jsonl', `${JSON.stringify({ text: LONG })}\n`),
    ...long,
  });
  assert.is(row.tokens, positions);
  const data = file('a.csv', `text,label\n${LONG},good\n${LONG},bad\n`);
  const classes = await train({ data, task: 'classify', ...long });
  assert.is(classes.tokens, positions);
  const judged = await evaluateClassifier(MODEL, { data, adapter: classes.output });
  assert.is(judged.samples, 2);
});

test('a classifier keeps its classes and their order, and starts anew with others', async () => {
  const data = file('a.csv', TWO);
  const first = await train({ data, task: 'classify', full: true });
  assert.equal(first.labels, ['bad', 'good']);
  // The names in another order than the one in which data alone would give them.
  const path = join(first.output, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  const id2label = { 0: 'good', 1: 'bad' };
  writeFileSync(path, JSON.stringify({ ...config, id2label, label2id: { good: 0, bad: 1 } }));
  const again = (content: string) =>
    finetune(first.output, {
      output: join(parent, `output-${made++}`),
      data: file('b.csv', content),
      task: 'classify',
      steps: 1,
    });
  assert.equal((await again(TWO)).labels, ['good', 'bad']);
  assert.equal((await again('text,label\nthe boy,bad\n')).labels, ['good', 'bad']);
  assert.equal((await again(`${TWO}the cow,so-so\n`)).labels, ['bad', 'good', 'so-so']);
});

test('classes that a model does not have are named with file and line, at the command line too', async () => {
  const data = file('a.csv', TWO);
  const evalData = file('b.csv', `${TWO}the cow,so-so\n`);
  const expected = `${evalData}, line 4: "so-so" is none of the classes bad, good`;
  const { message } = await fails(() => train({ data, evalData, task: 'classify' }), 'FORMAT');
  assert.is(message, expected);
  const { output } = await train({ data, task: 'classify' });
  const judge = ['eval', MODEL, '--adapter', output, '--task', 'classify', '--data', evalData];
  const judged = await cli(judge);
  assert.is(judged.code, 1);
  assert.match(judged.stderr, expected);
  assert.is(judged.stderr.trim().split('\n').length, 2, judged.stderr);
  const empty = file('c.jsonl', '');
  const target = join(parent, 'none');
  const refused = await cli(['finetune', MODEL, '--data', empty, '--output', target, '--quiet']);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, `error: there is nothing to learn from in ${empty}\n`);
  assert.is(refused.stderr.trim().split('\n').length, 2, refused.stderr);
});

test('an adapter for another base is refused by the module that does not fit', async () => {
  const { output } = await train({ data: file('a.txt', LONG) });
  const other = join(root, 'test', 'fixtures', 'stories260K');
  const text = file('b.txt', LONG);
  const shape = await fails(() => evaluate(other, { text, adapter: output }), 'CONFIG');
  assert.match(shape.message, /layers\.0\.\w+\.\w+ of \[128, 128\], but it is \[64,64\]/);
  const classes = await train({ data: file('a.csv', TWO), task: 'classify' });
  const bert = join(root, 'test', 'fixtures', 'conformance', 'bert-classifier');
  const data = file('b.csv', TWO);
  const named = await fails(
    () => evaluateClassifier(bert, { data, adapter: classes.output }),
    'CONFIG',
  );
  assert.match(named.message, /no head weight score\.weight/);
});
