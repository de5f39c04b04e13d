// The variables that CMake remembers in a build folder.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The cache of `build` as name → value, or undefined when the folder is not configured. */
export function readCache(build) {
  const file = join(build, 'CMakeCache.txt');
  if (!existsSync(file)) return undefined;
  const entries = readFileSync(file, 'utf8').matchAll(/^([\w.-]+):\w+=(.*)$/gm);
  return Object.fromEntries([...entries].map(([, name, value]) => [name, value]));
}
