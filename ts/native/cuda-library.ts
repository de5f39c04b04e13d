import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath } from './load-addon.js';

const FILE = 'libespalier_cuda.so';
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where the CUDA backend was found, or where it was looked for. */
export interface CudaLibrary {
  /** The library, when there is one. */
  path: string | undefined;
  /** All places that were looked at, in order. */
  places: readonly string[];
}

/**
 * Finds the CUDA backend's library: what `ESPALIER_CUDA_LIB` names and nothing else when that is set,
 * otherwise beside the addon, in the build folder of a checkout, or in the package `espalier-cuda`.
 */
export function findCudaLibrary(variables: NodeJS.ProcessEnv = process.env): CudaLibrary {
  const named = variables.ESPALIER_CUDA_LIB;
  const places = named ? [named] : defaultPlaces();
  return { path: places.find((place) => existsSync(place)), places };
}

function defaultPlaces(): string[] {
  const places = [join(root, 'build', 'cuda', FILE)];
  try {
    places.unshift(join(dirname(addonPath()), FILE));
  } catch {
    // Without an addon nothing can be computed, which whoever loads it says.
  }
  try {
    const manifest = createRequire(import.meta.url).resolve('espalier-cuda/package.json');
    places.push(join(dirname(manifest), FILE));
  } catch {
    // The companion package is optional.
  }
  return places;
}
