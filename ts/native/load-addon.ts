import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EspalierError } from '../common/errors.js';

const require = createRequire(import.meta.url);

/** The package's root: the folder with package.json, whether this file runs from ts/ or dist/. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Loads the addon: the local build if there is one, otherwise this platform's prebuild.
 *
 * @throws EspalierError `DEVICE_UNAVAILABLE` with what was tried and what to do
 */
export function loadAddon(): unknown {
  const load = require('node-gyp-build') as (directory: string) => unknown;
  try {
    return load(root);
  } catch (cause) {
    throw new EspalierError(
      'DEVICE_UNAVAILABLE',
      `the native addon could not be loaded: ${(cause as Error).message}`,
      { op: 'load', cause },
    );
  }
}
