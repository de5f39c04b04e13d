import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { cli, finish, root, start } from './spawn-cli.js';

const MODEL = join(root, 'demo', 'model');
const OZ = join(root, 'demo', 'text', 'wizard-of-oz.txt');

function finetuneArguments(output: string, ...more: string[]): string[] {
  const sizes = ['--batch-size', '4', '--max-length', '64', '--lora-dropout', '0.1'];
  return ['finetune', MODEL, '--data', OZ, '--output', output, ...sizes, ...more];
}

const adapterOf = (directory: string) => readFileSync(join(directory, 'adapter_model.safetensors'));

test('finetune writes an adapter, says so on stdout, and eval and merge take it', async () => {
  const output = join(temporaryDirectory(), 'adapter');
  const { code, stdout, stderr } = await cli(
    finetuneArguments(output, '--steps', '10', '--lora-r', '4', '--lora-layers', 'last:2'),
  );
  assert.is(code, 0, stderr);
  assert.match(stdout, output);
  assert.match(stdout, /steps +10/);
  assert.match(stderr, /train: 10\/10 steps/);
  const measure = ['--text', OZ, '--max-windows', '4', '--json'];
  const attached = await cli(['eval', MODEL, '--adapter', output, ...measure]);
  const merged = join(output, '..', 'merged');
  assert.is((await cli(['merge', MODEL, output, '--output', merged])).code, 0);
  const alone = await cli(['eval', merged, ...measure]);
  const nll = [attached, alone].map((run) => JSON.parse(run.stdout).nll as number);
  assert.ok(Math.abs((nll[0] as number) - (nll[1] as number)) < 1e-4);
});

test('killed anywhere and resumed, finetune ends with the same bytes', async () => {
  const parent = temporaryDirectory();
  const more = ['--steps', '40', '--save-every', '3', '--quiet'];
  const whole = join(parent, 'whole');
  assert.is((await cli(finetuneArguments(whole, ...more))).code, 0);
  const broken = join(parent, 'broken');
  let kills = 0;
  for (const wait of [0, 90, 180]) {
    if (existsSync(broken)) break;
    const resume = existsSync(`${broken}.partial`) ? ['--resume'] : [];
    const child = start(finetuneArguments(broken, ...more, ...resume));
    const done = finish(child);
    // Killed some time after it has saved something new.
    const before = saved(broken);
    while (saved(broken) <= before && child.exitCode === null) await sleep(5);
    await sleep(wait);
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      kills++;
    }
    await done;
  }
  assert.ok(kills > 0, 'nothing was killed');
  if (!existsSync(broken)) {
    const { code, stderr } = await cli(finetuneArguments(broken, ...more, '--resume'));
    assert.is(code, 0, stderr);
  }
  assert.ok(adapterOf(whole).equals(adapterOf(broken)));
  const metrics = (directory: string) => readFileSync(join(directory, 'metrics.jsonl'), 'utf8');
  assert.is(metrics(broken), metrics(whole));
});

/** The last step that a run in progress has saved. */
function saved(output: string): number {
  if (!existsSync(`${output}.partial`)) return 0;
  const steps = readdirSync(`${output}.partial`).map((name) =>
    Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? 0),
  );
  return Math.max(0, ...steps);
}

test('a classifier is trained and judged from the command line', async () => {
  const parent = temporaryDirectory();
  const data = join(parent, 'rows.csv');
  const rows = Array.from({ length: 40 }, (_, i) =>
    i % 2 === 0 ? 'the boy was happy,good' : '"the girl was sad, very sad",bad',
  );
  writeFileSync(data, `text,label\n${rows.join('\n')}\n`);
  const output = join(parent, 'adapter');
  const train = ['finetune', MODEL, '--task', 'classify', '--data', data, '--output', output];
  const { code, stderr } = await cli([...train, '--steps', '20', '--lr', '5e-3']);
  assert.is(code, 0, stderr);
  const judged = await cli([
    'eval',
    MODEL,
    '--adapter',
    output,
    '--task',
    'classify',
    '--data',
    data,
  ]);
  assert.match(judged.stdout, /accuracy +100/);
  assert.match(judged.stdout, /is bad +20 bad, 0 good/);
});

test('wrong flags are one line of cause and one of remedy', async () => {
  const output = join(temporaryDirectory(), 'adapter');
  const cases = [
    ['--lora-layers', 'some'],
    ['--epochs', '2', '--steps', '3'],
    ['--lora-r', '0'],
    ['--task', 'poetry'],
  ];
  for (const more of cases) {
    const { code, stderr } = await cli(finetuneArguments(output, ...more));
    assert.is(code, 2, stderr);
    assert.ok(stderr.trim().split('\n').length <= 2, stderr);
  }
});

test('out of memory is a cause and a remedy, and the remedy leads on from there', async () => {
  const parent = temporaryDirectory();
  const data = join(parent, 'rows.jsonl');
  // Three batches of short rows and one that needs a hundred times as much.
  const row = (i: number) => ({ text: 'the boy saw the dog '.repeat(i < 16 ? 40 : 1) });
  const rows = Array.from({ length: 64 }, (_, i) => `${JSON.stringify(row(i))}\n`);
  writeFileSync(data, rows.join(''));
  const argumentsFor = (output: string) => [
    ...['finetune', MODEL, '--data', data, '--output', output, '--epochs', '2'],
    ...['--batch-size', '16', '--save-every', '1', '--lora-dropout', '0.1', '--seed', '1'],
    '--quiet',
  ];
  const whole = join(parent, 'whole');
  assert.is((await cli(argumentsFor(whole))).code, 0);
  const broken = join(parent, 'broken');
  const file = 'test/cli/children/short-of-memory.ts';
  const child = start([`${broken}.partial`, ...argumentsFor(broken)], { file });
  const { code, stderr } = await finish(child);
  assert.is(code, 1, stderr);
  const [cause = '', remedy = '', ...rest] = stderr.trim().split('\n');
  assert.equal(rest, []);
  assert.match(cause, /no memory left after step \d+: \w+: could not allocate \d+ bytes/);
  assert.match(remedy, /--resume --gradient-checkpointing.*--batch-size/);
  assert.ok(saved(broken) >= 1);
  const again = await cli([...argumentsFor(broken), '--resume', '--gradient-checkpointing']);
  assert.is(again.code, 0, again.stderr);
  assert.ok(adapterOf(whole).equals(adapterOf(broken)));
});
