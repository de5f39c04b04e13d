// Builds the native test program in the addon's build folder, or in one of its own with sanitizers.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { discardForeignCache, readCache } from './cmake-cache.mjs';
import { installPackages } from './native-libraries.mjs';
import { run, succeeds } from './process.mjs';

/**
 * Builds the native tests and returns the program's path.
 *
 * @param build the build folder; one that is not configured yet is configured
 * @param options `defines`: CMake variables, for a folder that is configured here
 */
export function buildNativeTests(build = 'build', { defines = [] } = {}) {
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
    ['--build', build, '--target', 'espalier_tests', '--parallel', String(cpus().length)],
    { remedy },
  );
  return join(build, 'espalier_tests');
}
