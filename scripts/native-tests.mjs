// Builds the native test program in the addon's build folder, or in one of its own with sanitizers,
// and the CUDA backend on an emulated GPU.
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { discardForeignCache, readCache } from './cmake-cache.mjs';
import { installPackages } from './native-libraries.mjs';
import { run, succeeds } from './process.mjs';

/** Builds the CUDA backend on an emulated GPU and returns the library's path. */
export function buildEmulatedGpu(build = 'build') {
  buildTarget(build, 'espalier_cuda_shim');
  return resolve(build, 'emulated', 'libespalier_cuda_shim.so');
}

/** Builds the stand-ins for NVIDIA's libraries and returns the folder to look for them in. */
export function buildStandIns(build = 'build') {
  buildTarget(build, 'espalier_fake_cublaslt');
  buildTarget(build, 'espalier_fake_cusolver');
  return resolve(build, 'fake');
}

/**
 * Builds the native tests and returns the program's path.
 *
 * @param build the build folder; one that is not configured yet is configured
 * @param options `defines`: CMake variables, for a folder that is configured here
 */
export function buildNativeTests(build = 'build', { defines = [] } = {}) {
  buildTarget(build, 'espalier_tests', defines);
  return join(build, 'espalier_tests');
}

function buildTarget(build, target, defines = []) {
  const remedy = 'read the output above';
  discardForeignCache(build, process.cwd());
  const isNew = readCache(build) === undefined;
  const generator = isNew && succeeds('ninja', ['--version']) ? ['-G', 'Ninja'] : [];
  const variables = defines.map((define) => `-D${define}`);
  const configure = () =>
    run('native tests', 'cmake', ['-S', '.', '-B', build, ...generator, ...variables], { remedy });
  if (isNew) configure();
  if (readCache(build).DOCTEST_INCLUDE?.endsWith('NOTFOUND')) {
    installPackages(['doctest-dev'], 'doctest (for the native tests)');
    configure();
  }
  run(
    'native tests',
    'cmake',
    ['--build', build, '--target', target, '--parallel', String(cpus().length)],
    { remedy },
  );
}
