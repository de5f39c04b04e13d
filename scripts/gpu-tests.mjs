// The parts of `npm run test:gpu`: what is run, and below which tool.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findNvidiaLibraries } from './nvidia-libraries.mjs';
import { fail, succeeds } from './process.mjs';
import { doctestLabels, uvuLabels } from './test-process.mjs';

/** The tools of compute-sanitizer in the order of what they find; initcheck only when asked for. */
export const sanitizerTools = ['memcheck', 'racecheck', 'synccheck', 'initcheck'];

const nativeFolders = [join('test', 'binding', 'ops'), join('test', 'binding', 'core')];
const gpuTests = join('test', 'cuda');

/** The native test program and the CUDA library: those of a bundle, or a checkout's. */
export async function findPrograms(emulated) {
  const bundled = resolve('prebuilds', `${process.platform}-${process.arch}`);
  const isBundle = existsSync(join(bundled, 'espalier_tests'));
  const builder = isBundle ? undefined : await import('./native-tests.mjs');
  const program = builder ? resolve(builder.buildNativeTests()) : join(bundled, 'espalier_tests');
  const name = emulated ? 'libespalier_cuda_shim.so' : 'libespalier_cuda.so';
  const places = isBundle ? [bundled] : [resolve('build', emulated ? 'emulated' : 'cuda')];
  const named = emulated ? undefined : process.env.ESPALIER_CUDA_LIB;
  const library =
    named ?? places.map((place) => join(place, name)).find((path) => existsSync(path));
  if (library === undefined)
    fail('GPU tests', `no ${name} in ${places.join(', ')}`, 'npm run build:cuda');
  return { program, library, libraries: isBundle ? bundled : '' };
}

/** compute-sanitizer from PATH or the toolkit, or undefined. */
export function findSanitizer() {
  const homes = [process.env.CUDA_HOME, '/usr/local/cuda'].filter(Boolean);
  return ['compute-sanitizer', ...homes.map((home) => join(home, 'bin', 'compute-sanitizer'))].find(
    (command) => succeeds(command, ['--version']),
  );
}

/** Source files of native tests that run on every device. */
function nativeFiles() {
  return nativeFolders
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.startsWith(nativeFolders[0]) || path.endsWith('streams_at_once.test.cc'))
    .filter((path) => path.endsWith('.test.cc'));
}

/** The tests that take whichever GPU they are given; others of the folder are about the emulation. */
function testsOfAnyGpu() {
  return readdirSync(gpuTests)
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => readFileSync(join(gpuTests, name), 'utf8').includes("from './gpu.js'"))
    .sort();
}

/**
 * All `parts` by name, and the `environment` in which the GPU under test is found. Each part has a `title` and its `jobs`: `name`, `program`, `args`, `environment`,
 * `labels` of the totals. Jobs of a native part are the files of tests, one process each.
 */
export async function allParts({ emulated, filters }) {
  const { program, library, libraries } = await findPrograms(emulated);
  const nvidia = findNvidiaLibraries();
  const common = {
    ESPALIER_CUDA_LIB: library,
    ESPALIER_TEST_GPU: library,
    LD_LIBRARY_PATH: [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
  // An emulated GPU takes no real library.
  const withLibraries =
    emulated || nvidia.folder === undefined ? {} : { ESPALIER_CUDA_LIBRARY_PATH: nvidia.folder };
  const withoutLibraries = { ESPALIER_CUDA_LIBRARY_PATH: 'none' };
  const native = (environment, tool = []) =>
    nativeFiles().map((file) => {
      const [command, ...rest] = [...tool, program, `-sf=*${file}`, '--no-colors=true', ...filters];
      const variables = { ...common, ...environment };
      return {
        name: file,
        program: command,
        args: rest,
        environment: variables,
        labels: doctestLabels,
      };
    });
  const typescript = (file) => ({
    name: file,
    program: process.execPath,
    args: ['--import', 'tsx', file],
    environment: { ...common, ...withLibraries },
    labels: uvuLabels,
  });
  const parts = {
    'ops-libraries': {
      title: `op tests, products and factorisations by NVIDIA's libraries where they are found (${nvidia.line})`,
      jobs: native(withLibraries),
    },
    ops: { title: 'op tests, our own kernels', jobs: native(withoutLibraries) },
  };
  for (const name of testsOfAnyGpu()) {
    const file = join(gpuTests, name);
    parts[name.replace('.test.ts', '')] = { title: file, jobs: [typescript(file)] };
  }
  const environment = { ...common, ...withLibraries };
  if (emulated) return { parts, environment };
  const sanitizer = findSanitizer();
  for (const tool of sanitizerTools) {
    // Tests provoke failures of allocations: what calls return is the tests' business.
    const options = ['--tool', tool, '--error-exitcode', '9', '--print-limit', '20'];
    const command = [sanitizer, ...options, '--report-api-errors', 'no'];
    parts[tool] = {
      title: `op tests under ${tool}`,
      jobs: sanitizer === undefined ? [] : native(withoutLibraries, command),
      missing: sanitizer === undefined ? 'compute-sanitizer is not installed' : undefined,
      budgeted: true,
    };
  }
  return { parts, environment };
}
