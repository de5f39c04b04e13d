// Runs every op test on the CPU and on the GPU, then once more under compute-sanitizer where that is
// installed: out-of-bounds accesses, then races in shared memory.
//
// --emulated: on the GPU that the host emulates; proves that everything needed is there.
// --no-sanitizer: the tests alone. Other arguments go to the test program (`-tc=*attention*`).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, say, succeeds } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const ours = ['--emulated', '--no-sanitizer'];
const emulated = process.argv.includes('--emulated');
const filters = process.argv.slice(2).filter((argument) => !ours.includes(argument));

/** The test program and the folder of its libraries: those of a bundle, or a checkout's. */
async function testProgram() {
  const bundled = resolve('prebuilds', `${process.platform}-${process.arch}`);
  if (existsSync(join(bundled, 'espalier_tests'))) {
    return { program: join(bundled, 'espalier_tests'), libraries: bundled, places: [bundled] };
  }
  const { buildNativeTests } = await import('./native-tests.mjs');
  return {
    program: resolve(buildNativeTests()),
    libraries: '',
    places: [resolve('build', 'cuda'), resolve('build')],
  };
}

const { program, libraries, places } = await testProgram();
const name = emulated ? 'libespalier_cuda_shim.so' : 'libespalier_cuda.so';
const named = emulated ? undefined : process.env.ESPALIER_CUDA_LIB;
const library = named ?? places.map((place) => join(place, name)).find((path) => existsSync(path));
if (library === undefined)
  fail('GPU tests', `no ${name} in ${places.join(', ')}`, 'npm run build:cuda');

const environment = {
  ...process.env,
  ESPALIER_CUDA_LIB: library,
  LD_LIBRARY_PATH: [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
};

/** Runs the tests, below `tool` when there is one; true when they pass. */
function passes(title, tool = []) {
  say(`=== ${title}`);
  const [command, ...rest] = [...tool, program, '-sf=*/ops/*', '--no-colors=true', ...filters];
  const { status, signal, error } = spawnSync(command, rest, {
    stdio: 'inherit',
    env: environment,
  });
  if (status !== 0) say(`=== ${title}: ended with ${status ?? signal ?? error?.message}`);
  return status === 0;
}

/** compute-sanitizer from PATH or the toolkit, or undefined. */
function sanitizer() {
  const homes = [process.env.CUDA_HOME, '/usr/local/cuda'].filter(Boolean);
  return ['compute-sanitizer', ...homes.map((home) => join(home, 'bin', 'compute-sanitizer'))].find(
    (command) => succeeds(command, ['--version']),
  );
}

const results = [passes(`op tests with ${library}`)];
const tool = emulated || process.argv.includes('--no-sanitizer') ? undefined : sanitizer();
if (tool !== undefined) {
  for (const check of ['memcheck', 'racecheck']) {
    const options = ['--tool', check, '--error-exitcode', '9', '--print-limit', '20'];
    results.push(passes(`op tests under ${check}`, [tool, ...options]));
  }
} else if (!emulated) {
  say('=== compute-sanitizer was not run');
}
process.exitCode = results.every(Boolean) ? 0 : 1;
