import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, test } from '../harness.js';
import { cli, root } from './spawn-cli.js';
import { temporaryDirectory } from '../temporary-directory.js';

const MODEL = join(root, 'demo', 'model');
const TEXT = join(root, 'demo', 'text', 'stories.txt');
const QUESTIONS = join(root, 'test', 'fixtures', 'tasks', 'arc.jsonl');
const SHORT = ['eval', MODEL, '--text', TEXT, '--max-windows', '16'];

test('eval prints a table on stdout and progress on stderr', async () => {
  const { code, stdout, stderr } = await cli(SHORT);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^perplexity {2,}\d\.\d+\n/);
  assert.match(stdout, /windows +16 of 128 tokens, stride 128/);
  assert.match(stderr, /evaluate: 16\/16 windows/);
});

test('eval --json has every figure, --quiet keeps stderr empty', async () => {
  const { stdout, stderr } = await cli([...SHORT, '--json', '--quiet', '--threads', '1']);
  assert.is(stderr, '');
  const result = JSON.parse(stdout);
  const names = [
    'perplexity',
    'nll',
    'bitsPerByte',
    'tokens',
    'windows',
    'window',
    'stride',
    'seconds',
    'tokensPerSecond',
    'peakMemoryBytes',
    'model',
    'device',
    'dtype',
    'version',
  ];
  assert.equal(Object.keys(result), names);
  assert.ok(Math.abs(Math.log(result.perplexity) - result.nll) < 1e-9);
});

test('eval --json-stream ends with the result', async () => {
  const { stdout } = await cli([...SHORT, '--json-stream', '--quiet']);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(events.length > 2);
  assert.ok(events.slice(0, -1).every(({ event }) => event === 'progress'));
  assert.is(events.at(-1).result.windows, 16);
});

test('eval --task prints accuracies with their errors, and as JSON', async () => {
  const args = ['eval', MODEL, '--task', 'arc_easy', '--data', QUESTIONS];
  const { code, stdout, stderr } = await cli(args);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^task {2,}arc_easy\nacc +\d+\.0 % ± \d+\.\d %\nacc_norm +\d+\.0 % ±/);
  assert.match(stderr, /evaluate: 5\/5 questions/);
  const json = JSON.parse((await cli([...args, '--limit', '3', '--json', '--quiet'])).stdout);
  assert.is(json.questions, 3);
  assert.is(json.choices, 12);
  assert.ok(json.acc >= 0 && json.accNorm <= 1 && json.accStderr >= 0);
});

test('eval --task takes an adapter', async () => {
  const adapter = join(temporaryDirectory(), 'adapter');
  const text = join(root, 'demo', 'text', 'wizard-of-oz.txt');
  const steps = ['--steps', '2', '--max-length', '32', '--lr', '0.05', '--quiet'];
  const trained = await cli(['finetune', MODEL, '--data', text, '--output', adapter, ...steps]);
  assert.is(trained.code, 0, trained.stderr);
  const args = ['eval', MODEL, '--task', 'arc_easy', '--data', QUESTIONS, '--adapter', adapter];
  const { code, stdout, stderr } = await cli(args);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^task {2,}arc_easy\nacc +\d/);
  const missing = await cli([...args.slice(0, -1), join(adapter, 'none')]);
  assert.is(missing.code, 1);
});

test('texts and windows that make no sense are refused with a remedy', async () => {
  const directory = temporaryDirectory();
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const cases: [string[], number][] = [
    [['--text', file('empty.txt', '')], 1],
    [['--text', file('one.txt', 'a')], 1],
    [['--text', file('binary.txt', Uint8Array.from([0xff, 0xfe, 0, 1]))], 1],
    [['--text', join(directory, 'missing.txt')], 1],
    [['--text', TEXT, '--window', '257'], 2],
    [['--text', TEXT, '--window', '1'], 2],
    [['--text', TEXT, '--stride', '0'], 2],
    [['--text', TEXT, '--max-memory', 'much'], 2],
    [['--text', TEXT, '--device', 'cuda'], 3],
    [[], 2],
    [['--task', 'arc_easy'], 2],
    [['--task', 'mmlu', '--data', QUESTIONS], 2],
    [['--task', 'arc_easy', '--data', QUESTIONS, '--text', TEXT], 2],
    [['--task', 'arc_easy', '--data', QUESTIONS, '--window', '64'], 2],
    [['--task', 'arc_easy', '--data', QUESTIONS, '--limit', '0'], 2],
    [['--task', 'boolq', '--data', QUESTIONS], 1],
  ];
  for (const [args, expected] of cases) {
    const { code, stdout, stderr } = await cli(['eval', MODEL, '--quiet', ...args]);
    assert.is(code, expected, `${args.join(' ')}: ${stderr}`);
    assert.is(stdout, '');
    assert.is(stderr.trimEnd().split('\n').length, 2, stderr);
  }
});
