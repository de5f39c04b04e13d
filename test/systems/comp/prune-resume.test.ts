import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../../ts/common/random.js';
import { prune } from '../../../ts/systems/comp/prune.js';
import { assert, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, demoModel, filesOf } from './small-model.js';

const folder = temporaryDirectory();
const settings = {
  calibration: calibrationText,
  samples: 8,
  window: 32,
  ratio: 0.3,
  layerShare: 0.6,
  keyValueGroups: 3,
} as const;

/** Starts a run of its own process, and kills it so many milliseconds after so many of its events. */
function killedRun(output: string, events: number, delay: number): Promise<void> {
  const script = join(import.meta.dirname, 'prune-process.ts');
  const given = JSON.stringify({ ...settings, output, resume: true });
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, demoModel, given], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = 0;
    child.stdout.on('data', (bytes: Buffer) => {
      const before = seen;
      seen += bytes.length;
      if (before <= events && seen > events) setTimeout(() => child.kill('SIGKILL'), delay);
    });
    child.once('close', () => resolve());
  });
}

test('killed at random moments, a run resumes to the same bytes', async () => {
  const whole = join(folder, 'whole');
  const phases: string[] = [];
  const onProgress = ({ phase }: { phase: string }) => phases.push(phase);
  await prune(demoModel, { ...settings, output: whole, onProgress });
  const firstLayer = phases.indexOf('prune');
  const expected = filesOf(whole);
  const random = new Random(1);
  const states = new Set<string>();
  for (let i = 0; i < 30; i++) {
    const output = join(folder, `killed-${i}`);
    // Events rather than times, so that a busy machine meets the same states; half of them among the
    // layers, which are the shorter part of so small a run.
    const first = i % 2 === 0 ? 0 : firstLayer;
    const event = first + random.integer(phases.length + 1 - first);
    await killedRun(output, event, 10 * random.float());
    states.add(stateOf(output));
    const result = await prune(demoModel, { ...settings, output, resume: true });
    assert.is(result.output, output);
    const files = filesOf(output);
    assert.equal([...files.keys()], [...expected.keys()]);
    for (const [name, bytes] of expected)
      assert.ok(files.get(name)?.equals(bytes), `${i}: ${name}`);
    assert.not.ok(existsSync(`${output}.partial`));
    rmSync(output, { recursive: true });
  }
  // The moments are only worth something when they met the run in different states.
  assert.ok(states.size >= 3, [...states].join());
});

/** How far a killed run had got. */
function stateOf(output: string): string {
  if (existsSync(output)) return 'complete';
  const layers = join(`${output}.partial`, 'layers');
  return existsSync(layers) ? `${readdirSync(layers).length} layers` : 'nothing';
}

test('an aborted run is refused without resume, and resumes to the same bytes with it', async () => {
  const output = join(folder, 'aborted');
  const controller = new AbortController();
  const onProgress = (event: { phase: string; completed: number }) => {
    if (event.phase === 'prune' && event.completed === 2) controller.abort();
  };
  await fails(
    () => prune(demoModel, { ...settings, output, signal: controller.signal, onProgress }),
    'ABORTED',
  );
  await fails(() => prune(demoModel, { ...settings, output }), 'CONFIG');
  await prune(demoModel, { ...settings, output, resume: true });
  const whole = join(folder, 'whole-2');
  await prune(demoModel, { ...settings, output: whole });
  const [files, expected] = [filesOf(output), filesOf(whole)];
  for (const [name, bytes] of expected) assert.ok(files.get(name)?.equals(bytes), name);
});

test('a run killed while it cleared its traces is finished without computing again', async () => {
  const output = join(folder, 'cleared');
  const controller = new AbortController();
  const abort = ({ phase, completed }: { phase: string; completed: number }) => {
    if (phase === 'prune' && completed === 2) controller.abort();
  };
  await fails(
    () => prune(demoModel, { ...settings, output, signal: controller.signal, onProgress: abort }),
    'ABORTED',
  );
  // Everything is written, the state still names the layers' files, and the first of them is gone.
  const whole = join(folder, 'whole-3');
  await prune(demoModel, { ...settings, output: whole });
  cpSync(whole, `${output}.partial`, { recursive: true });
  const layers = join(`${output}.partial`, 'layers');
  rmSync(join(layers, readdirSync(layers).sort()[0] as string));

  let layersPruned = 0;
  const count = ({ phase }: { phase: string }) => {
    if (phase === 'prune') layersPruned++;
  };
  await prune(demoModel, { ...settings, output, resume: true, onProgress: count });
  assert.is(layersPruned, 0);
  const [files, expected] = [filesOf(output), filesOf(whole)];
  assert.equal([...files.keys()], [...expected.keys()]);
  for (const [name, bytes] of expected) assert.ok(files.get(name)?.equals(bytes), name);
});

test('a run does not resume what was started with other options', async () => {
  const output = join(folder, 'other');
  const controller = new AbortController();
  const onProgress = (event: { phase: string }) => {
    if (event.phase === 'prune') controller.abort();
  };
  await fails(
    () => prune(demoModel, { ...settings, output, signal: controller.signal, onProgress }),
    'ABORTED',
  );
  await fails(() => prune(demoModel, { ...settings, seed: 9, output, resume: true }), 'CONFIG');
  await prune(demoModel, { ...settings, seed: 9, output, force: true });
});
