import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { prune } from '../../../ts/systems/comp/prune.js';
import { assert, fails, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, demoModel, filesOf } from './small-model.js';

const folder = temporaryDirectory();
const settings = {
  calibration: calibrationText,
  samples: 8,
  window: 32,
  layerShare: 0,
  keyValueGroups: 4,
} as const;

const whole = join(folder, 'whole');

/** The files of a run that nothing stopped. */
async function uninterrupted(): Promise<Map<string, Buffer>> {
  if (!existsSync(whole)) await prune(demoModel, { ...settings, output: whole });
  return filesOf(whole);
}

/** What a run that stopped for lack of space leaves can be gone on with, to the same bytes. */
async function goesOn(output: string): Promise<void> {
  assert.not.ok(existsSync(output), 'nothing stands under the name of the result');
  await prune(demoModel, { ...settings, output, resume: true });
  const files = filesOf(output);
  const expected = await uninterrupted();
  assert.equal([...files.keys()], [...expected.keys()]);
  for (const [name, bytes] of expected) assert.ok(files.get(name)?.equals(bytes), name);
}

for (const [blocks, what] of [
  [1, 'before the first layer'],
  [400, 'at a layer'],
  [4000, 'at the whole model'],
] as const) {
  test(`files that may not grow stop a run ${what}, and it can be resumed`, async () => {
    const output = join(folder, `limited-${blocks}`);
    const script = join(import.meta.dirname, 'prune-process.ts');
    const run = spawnSync(
      'sh',
      [
        '-c',
        `ulimit -f ${blocks} && exec "$0" --import tsx "$@"`,
        process.execPath,
        script,
        demoModel,
        JSON.stringify({ ...settings, output }),
      ],
      { env: { ...process.env, TSX_DISABLE_CACHE: '1' }, encoding: 'utf8' },
    );
    assert.is(run.status, 1, run.stderr);
    assert.match(run.stderr, 'the file would be larger than allowed');
    assert.match(run.stderr, "code: 'CONFIG'");
    await goesOn(output);
  });
}

const small = join(folder, 'small');
mkdirSync(small);
const mount = (size: string, ...more: string[]) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}${more.join('')}`, 'tmpfs', small]);

if (process.getuid?.() === 0 && mount('2m').status === 0) {
  // Before the directory it stands in is removed.
  process.prependOnceListener('exit', () => spawnSync('umount', [small]));
  test('a full disk stops a run, and it goes on once there is space', async () => {
    const output = join(small, 'result');
    const error = await fails(() => prune(demoModel, { ...settings, output }), 'CONFIG');
    assert.match(error.message, 'no space is left on the device');
    assert.is(mount('64m', ',remount').status, 0);
    await goesOn(output);
  });
} else {
  test.skip('a full disk stops a run: only root may mount a small one', () => {});
}
