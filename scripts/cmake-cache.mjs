// The variables that CMake remembers in a build folder.
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds } from './process.mjs';

/** The cache of `build` as name → value, or undefined when the folder is not configured. */
export function readCache(build) {
  const file = join(build, 'CMakeCache.txt');
  if (!existsSync(file)) return undefined;
  const entries = readFileSync(file, 'utf8').matchAll(/^([\w.-]+):\w+=(.*)$/gm);
  return Object.fromEntries([...entries].map(([, name, value]) => [name, value]));
}

/**
 * Forgets a configuration that CMake would refuse to continue: of another folder (the clone was moved
 * or copied), or for another build tool (ninja came or went).
 */
export function discardForeignCache(build, root) {
  const cache = readCache(build);
  if (cache === undefined) return;
  const generator = succeeds('ninja', ['--version']) ? 'Ninja' : 'Unix Makefiles';
  const home = cache.CMAKE_HOME_DIRECTORY ?? '';
  const isHere = existsSync(home) && realpathSync(home) === realpathSync(root);
  if (isHere && cache.CMAKE_GENERATOR === generator) return;
  rmSync(join(build, 'CMakeCache.txt'));
  rmSync(join(build, 'CMakeFiles'), { recursive: true, force: true });
}
