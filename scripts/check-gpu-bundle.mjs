// Unpacks build/espalier-gpu.tar.xz elsewhere and uses it there with nothing but itself: no
// environment, no checkout, no Node, none of this machine's native libraries.
// Run `npm run pack:gpu-bundle` first.
//
// Arguments go to the tests on the emulated GPU (`--only memory`); without any all of them run.
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canHide, onBareMachine } from './bare-machine.mjs';
import { fail, run, say } from './process.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const archive = join(root, 'build', 'espalier-gpu.tar.xz');
if (!existsSync(archive)) fail('GPU bundle', `there is no ${archive}`, 'npm run pack:gpu-bundle');
if (!canHide()) fail('GPU bundle', 'unshare --mount is not permitted here', 'run it as root');

const work = mkdtempSync(join(tmpdir(), 'espalier-bundle-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
run('GPU bundle', 'tar', ['-C', work, '-xJf', archive], { remedy: 'install xz' });
const bundle = join(work, 'espalier-gpu');

let passed = 0;
let failed = 0;

/** Runs one command of the bundle, which should succeed and print `wanted`. */
function expect(command, wanted) {
  const { status, signal, stdout, stderr } = onBareMachine(`./run.sh ${command}`, {
    cwd: bundle,
    environment: { PATH: '/usr/bin:/bin', HOME: work, NO_COLOR: '1' },
    alsoHide: [root, process.execPath],
  });
  const good = status === 0 && wanted.test(stdout);
  if (good) passed++;
  else failed++;
  console.log(`${good ? '✓' : '✗'} GPU bundle: run.sh ${command}`);
  if (!good) console.log(`ended with ${status ?? signal}, wanted ${wanted}\n${stdout}${stderr}`);
  else say(`${stdout}${stderr}`.trimEnd().split('\n').slice(-12).join('\n'));
}

console.log(`bundle: ${(statSync(archive).size / 1e6).toFixed(1)} MB`);
const only = process.argv.slice(2).join(' ') || '--minutes 30';
expect('doctor', /kernels use/);
expect(`emulated ${only}`, /^\d+ passed, 0 failed/m);
const quick = '--device cpu --quick --no-peer';
expect(`bench ${quick} --only merge-dispatch --output ${work}/results`, /merge-dispatch\.md/);
expect(`suite masked-matmul ${quick}`, /# masked-matmul/);

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
