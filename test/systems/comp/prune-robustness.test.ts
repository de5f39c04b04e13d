import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prune } from '../../../ts/systems/comp/prune.js';
import type { PruneOptions } from '../../../ts/systems/comp/prune-options.js';
import { assert, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, demoModel, filesOf } from './small-model.js';

const folder = temporaryDirectory();
let count = 0;

function options(extra: Partial<PruneOptions> = {}): PruneOptions {
  const output = join(folder, `result-${count++}`);
  return {
    output,
    calibration: calibrationText,
    samples: 8,
    window: 32,
    method: 'magnitude',
    layerShare: 0,
    keyValueGroups: 4,
    ...extra,
  };
}

/** Nothing of a refused run may be left but what it found. */
function nothingLeft(output: string): void {
  assert.not.ok(existsSync(output), 'output');
}

test('ratios that make no sense are refused before anything is written', async () => {
  for (const ratio of [1, -1, Number.NaN]) {
    const run = options({ ratio });
    await fails(() => prune(demoModel, run), 'CONFIG');
    nothingLeft(run.output);
    assert.not.ok(existsSync(`${run.output}.partial`));
  }
});

test('a ratio that the model has not got to give is refused, or met', async () => {
  const run = options({ ratio: 0.95, keyValueGroups: 'auto', layerShare: 'auto' });
  const error = await prune(demoModel, run).then(
    (result) => void assert.ok(result.ratio >= 0.95),
    (reason) => reason,
  );
  if (error === undefined) return;
  assert.is(error.code, 'CONFIG');
  assert.match(error.message, '0.95');
  nothingLeft(run.output);
});

test("a window longer than the model's positions is refused", async () => {
  const error = await fails(() => prune(demoModel, options({ window: 257 })), 'CONFIG');
  assert.match(error.message, '256');
});

test('fewer samples than asked for are a warning', async () => {
  const short = join(folder, 'short.txt');
  writeFileSync(short, 'One day a little bird was sad. '.repeat(20));
  const result = await prune(demoModel, options({ calibration: short, method: 'comp' }));
  assert.ok(result.warnings.length === 0);
  const more = await prune(demoModel, options({ calibration: short, samples: 500 }));
  assert.ok(more.warnings.some((warning) => warning.includes('fewer than the 500')));
});

test('one calibration window is enough, with a warning', async () => {
  const result = await prune(demoModel, options({ method: 'comp', samples: 1 }));
  assert.ok(result.warnings.some((warning) => warning.includes('cross-checked')));
  assert.ok(Number.isFinite(result.heldOutLoss.after));
});

test('calibration files that are empty, of one character or not text are refused', async () => {
  for (const [content, code] of [
    ['', 'CONFIG'],
    ['a', 'CONFIG'],
    [Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) % 256), 'FORMAT'],
  ] as const) {
    const calibration = join(folder, 'strange');
    writeFileSync(calibration, content);
    const run = options({ calibration });
    await fails(() => prune(demoModel, run), code);
    nothingLeft(run.output);
  }
});

test('an output that exists is refused without force, and replaced with it', async () => {
  const run = options();
  await prune(demoModel, run);
  const before = filesOf(run.output);
  await fails(() => prune(demoModel, { ...run, seed: 1 }), 'CONFIG');
  assert.equal(filesOf(run.output), before);
  await prune(demoModel, { ...run, ratio: 0.3, force: true });
  assert.not.equal(filesOf(run.output).get('config.json'), before.get('config.json'));
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith(`${run.output.split('/').at(-1)}.`)),
    [],
  );
});

test('an output directory that is no model is not replaced, even with force', async () => {
  const run = options({ force: true });
  mkdirSync(run.output);
  writeFileSync(join(run.output, 'diary.txt'), 'dear diary');
  await fails(() => prune(demoModel, run), 'CONFIG');
  assert.equal(readdirSync(run.output), ['diary.txt']);
});

test('an output that can not be written is refused', async () => {
  const locked = join(folder, 'locked');
  mkdirSync(locked);
  chmodSync(locked, 0o500);
  // Root writes wherever it likes; a file in the way stops everyone.
  const output = process.getuid?.() === 0 ? '/proc/self/result' : join(locked, 'result');
  await fails(() => prune(demoModel, options({ output })), 'CONFIG');
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await fails(() => prune(demoModel, options({ output: join(file, 'result') })), 'CONFIG');
});

test('a model or calibration file that is missing is refused', async () => {
  await fails(() => prune(join(folder, 'nothing'), options()), 'CONFIG');
  await fails(() => prune(demoModel, options({ calibration: join(folder, 'nothing') })), 'CONFIG');
});

test('an aborted run stops within a second and leaves nothing under its name', async () => {
  for (const delay of [0, 30, 200, 500, 900]) {
    const run = options({ method: 'comp', samples: 64, window: 128, layerShare: 'auto' });
    const controller = new AbortController();
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort();
    }, delay);
    const ended = await prune(demoModel, { ...run, signal: controller.signal }).catch(
      (error) => error,
    );
    if (aborted === 0) continue;
    assert.is(ended.code, 'ABORTED', String(ended));
    assert.ok(performance.now() - aborted < 1000, `${performance.now() - aborted} ms`);
    nothingLeft(run.output);
  }
});

test('what onProgress throws rejects the run', async () => {
  const run = options({
    onProgress: ({ phase }) => {
      if (phase === 'prune') throw new RangeError('stop here');
    },
  });
  const error = await prune(demoModel, run).catch((reason) => reason);
  assert.ok(error instanceof RangeError);
  nothingLeft(run.output);
});
