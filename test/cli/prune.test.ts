import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';
import { cli, finish, root, start } from './spawn-cli.js';

const MODEL = join(root, 'demo', 'model');
const TEXT = join(root, 'demo', 'text', 'calibration.txt');
const QUICK = ['--samples', '8', '--window', '64', '--layer-share', '0'];

function pruneArguments(output: string, ...more: string[]): string[] {
  return ['prune', MODEL, '--output', output, '--calibration', TEXT, ...QUICK, ...more];
}

test('prune writes a smaller model, says so on stdout, and inspect and eval read it', async () => {
  const output = join(temporaryDirectory(), 'pruned');
  const { code, stdout, stderr } = await cli(pruneArguments(output));
  assert.is(code, 0, stderr);
  assert.match(stdout, output);
  assert.match(stdout, /parameters +936,448 → 7\d\d,\d\d\d/);
  assert.match(stdout, /removed +2[01]\.\d % \(asked: 20\.0 %\)/);
  assert.match(stderr, /prune: 5\/5 layers/);
  const { parameters } = JSON.parse((await cli(['inspect', output, '--json'])).stdout);
  assert.ok(parameters.total <= 0.8 * 936_448);
  const text = join(root, 'demo', 'text', 'stories.txt');
  const measured = await cli(['eval', output, '--text', text, '--max-windows', '8', '--json']);
  assert.ok(JSON.parse(measured.stdout).perplexity < 5);
  assert.ok(existsSync(join(output, 'run.json')));
});

test('--json is one document, --json-stream shows the layers go by', async () => {
  const output = join(temporaryDirectory(), 'pruned');
  const document = await cli(pruneArguments(output, '--json', '--quiet', '--method', 'magnitude'));
  const result = JSON.parse(document.stdout);
  assert.is(result.output, output);
  assert.ok(result.ratio >= 0.2 && result.ratio <= 0.215);
  const { stdout } = await cli(pruneArguments(output, '--json-stream', '--quiet', '--force'));
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const layers = events.filter(({ phase }) => phase === 'prune').map(({ completed }) => completed);
  assert.equal([...layers].sort(), layers);
  assert.is(layers.at(-1), 5);
  assert.is(events.at(-1).event, 'result');
});

test('an output that exists is refused without --force', async () => {
  const output = join(temporaryDirectory(), 'pruned');
  mkdirSync(output);
  writeFileSync(join(output, 'config.json'), 'mine');
  const { code, stderr } = await cli(pruneArguments(output));
  assert.is(code, 1);
  assert.match(stderr, /exists already\n {2}try: .*--force/);
  assert.is(readFileSync(join(output, 'config.json'), 'utf8'), 'mine');
});

test('the model itself is never replaced, not even through a link and with --force', async () => {
  const directory = temporaryDirectory();
  const model = join(directory, 'model');
  cpSync(MODEL, model, { recursive: true });
  symlinkSync(model, join(directory, 'link'));
  const before = readFileSync(join(model, 'model.safetensors'));
  const { code, stderr } = await cli([
    ...['prune', model, '--output', join(directory, 'link'), '--calibration', TEXT],
    ...['--force', '--quiet'],
  ]);
  assert.is(code, 2);
  assert.match(stderr, /is the model that is to be pruned\n {2}try: choose another/);
  assert.ok(readFileSync(join(model, 'model.safetensors')).equals(before));
});

test('Ctrl-C saves and ends with 130, --resume ends with the bytes of an undisturbed run', async () => {
  const directory = temporaryDirectory();
  const [whole, resumed] = [join(directory, 'whole'), join(directory, 'resumed')];
  assert.is((await cli(pruneArguments(whole))).code, 0);

  const child = start(pruneArguments(resumed, '--json-stream'));
  child.stdout?.on('data', (text) => {
    if (/"phase":"prune","completed":[12]/.test(String(text))) child.kill('SIGINT');
  });
  const { code, stderr } = await finish(child);
  assert.is(code, 130, stderr);
  assert.match(stderr, /stopping; press Ctrl-C again/);
  assert.match(stderr, /error: interrupted\n {2}try: the same command with --resume/);
  assert.equal(readdirSync(directory).sort(), ['resumed.partial', 'whole']);

  const again = await cli(pruneArguments(resumed, '--resume'));
  assert.is(again.code, 0, again.stderr);
  assert.equal(readdirSync(directory).sort(), ['resumed', 'whole']);
  for (const name of readdirSync(whole)) {
    const same = readFileSync(join(whole, name)).equals(readFileSync(join(resumed, name)));
    assert.ok(same, `${name} differs`);
  }
});

test('values that make no sense exit with 2 and name the option', async () => {
  const output = join(temporaryDirectory(), 'pruned');
  const cases: [string[], RegExp][] = [
    [['--ratio', '1'], /ratio/],
    [['--ratio=-1'], /--ratio/],
    [['--ratio', 'NaN'], /--ratio/],
    [['--samples', '0'], /--samples/],
    [['--window', '257'], /window.*256 positions/],
    [['--method', 'guess'], /--method.*comp, magnitude/],
    [['--layer-share', '2'], /--layer-share.*or auto/],
    [['--max-mask-variance', '-1'], /--max-mask-variance/],
    [['--dtype', 'f32'], /--dtype/],
  ];
  for (const [args, cause] of cases) {
    const { code, stdout, stderr } = await cli(pruneArguments(output, ...args));
    assert.is(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.is(stdout, '');
    assert.match(stderr, cause);
  }
  assert.not.ok(existsSync(output) || existsSync(`${output}.partial`));
});

test('calibration text that is empty, too short, binary or missing is refused with a remedy', async () => {
  const directory = temporaryDirectory();
  const output = join(directory, 'pruned');
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const texts = [
    file('empty.txt', ''),
    file('one.txt', 'a'),
    file('binary.txt', Uint8Array.from([0xff, 0xfe, 0, 1, 0x80])),
    join(directory, 'missing.txt'),
  ];
  for (const text of texts) {
    const args = ['prune', MODEL, '--output', output, '--calibration', text, '--quiet'];
    const { code, stderr } = await cli(args);
    assert.is(code, 1, `${text}: ${stderr}`);
    assert.is(stderr.trimEnd().split('\n').length, 2, stderr);
    assert.not.ok(existsSync(output));
  }
});

test('fewer samples than asked are used with a warning', async () => {
  const directory = temporaryDirectory();
  const text = join(directory, 'short.txt');
  writeFileSync(text, readFileSync(TEXT, 'utf8').slice(0, 2000));
  const output = join(directory, 'pruned');
  const { code, stdout, stderr } = await cli([
    ...['prune', MODEL, '--output', output, '--calibration', text, '--layer-share', '0'],
    ...['--method', 'magnitude'],
  ]);
  assert.is(code, 0, stderr);
  assert.match(stderr, /warning: .* fewer than the 128 asked for/);
  assert.not.match(stdout, 'warning');
});
