import type { CommonFlags } from '../../ts/cli/common-flags.js';
import { runVerb, type Verb } from '../../ts/cli/run-verb.js';
import { throwIfAborted } from '../../ts/common/abort.js';
import { EspalierError } from '../../ts/common/errors.js';
import { assert, test } from '../harness.js';
import { FakeScreen } from './fake-screen.js';

const FLAGS: CommonFlags = { device: 'auto', dtype: 'auto', seed: 0 };

const counting: Verb<{ sum: number }> = {
  work({ onProgress }) {
    for (let i = 0; i <= 2; i++)
      onProgress({ phase: 'count', completed: i, total: 2, unit: 'steps' });
    return { sum: 3 };
  },
  text: ({ sum }) => `sum ${sum}\n`,
};

async function run<R>(verb: Verb<R>, flags: Partial<CommonFlags> = {}) {
  const out = new FakeScreen();
  const err = new FakeScreen();
  const code = await runVerb({ ...FLAGS, ...flags }, verb, { out, err });
  return { code, out: out.text, err: err.text };
}

function failing(error: unknown): Verb<never> {
  return {
    work() {
      throw error;
    },
    text: () => '',
  };
}

test('people get the table on stdout and progress on stderr', async () => {
  const { code, out, err } = await run(counting);
  assert.is(code, 0);
  assert.is(out, 'sum 3\n');
  assert.match(err, /count: 0\/2 steps/);
});

test('--json prints one document, --json-stream one event per line, --quiet no progress', async () => {
  assert.equal(JSON.parse((await run(counting, { json: true })).out), { sum: 3 });
  const { out } = await run(counting, { jsonStream: true });
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    events.map(({ event }) => event),
    ['progress', 'progress', 'progress', 'result'],
  );
  assert.equal(events[3].result, { sum: 3 });
  assert.is((await run(counting, { quiet: true })).err, '');
});

test('a failure is one line of cause and one of remedy, and a document for programs', async () => {
  const error = new EspalierError('FORMAT', 'config.json: expected an object,\n got a list', {
    remedy: 'fetch the file again',
  });
  const plain = await run(failing(error));
  assert.is(plain.code, 1);
  assert.is(plain.out, '');
  assert.is(
    plain.err,
    'error: config.json: expected an object, got a list\n  try: fetch the file again\n',
  );
  const { out } = await run(failing(error), { json: true });
  assert.is(JSON.parse(out).error.code, 'FORMAT');
  const stream = await run(failing(error), { jsonStream: true });
  assert.is(JSON.parse(stream.out).event, 'error');
});

test('--verbose adds the stacks of the error and its causes', async () => {
  const error = new EspalierError('FORMAT', 'outer', { cause: new Error('inner') });
  const { err } = await run(failing(error), { verbose: true });
  assert.match(err, /at .*run-verb\.test/);
  assert.match(err, 'Error: inner');
});

test('exit codes tell usage, environment and failure apart', async () => {
  const option = new EspalierError('CONFIG', 'ratio must be less', {
    details: { option: 'ratio' },
  });
  assert.is((await run(failing(option))).code, 2);
  assert.is((await run(failing(new EspalierError('DEVICE_UNAVAILABLE', 'no')))).code, 3);
  assert.is((await run(failing(new EspalierError('CONFIG', 'no such file')))).code, 1);
  assert.is((await run(failing(new TypeError('x')))).code, 1);
});

test('the first interrupt aborts the work, which ends with 130', async () => {
  const waiting: Verb<void> = {
    async work({ signal }) {
      process.kill(process.pid, 'SIGINT');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throwIfAborted(signal, 'prune');
    },
    text: () => '',
  };
  const { code, err } = await run(waiting);
  assert.is(code, 130);
  assert.match(err, 'stopping');
});

test('signals are given back afterwards', async () => {
  const before = process.listenerCount('SIGINT');
  await run(counting);
  assert.is(process.listenerCount('SIGINT'), before);
});
