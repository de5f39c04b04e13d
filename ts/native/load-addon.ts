import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EspalierError } from '../common/errors.js';
import { cpuFeatures } from './cpu-features.js';

const require = createRequire(import.meta.url);

/** The package's root: the folder with package.json, whether this file runs from ts/ or dist/. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

interface Loader {
  (directory: string): unknown;
  resolve(directory: string): string;
}

/**
 * Path of the addon that this platform would load: the local build if there is one, otherwise the
 * prebuild.
 *
 * @throws EspalierError `DEVICE_UNAVAILABLE` when neither is there
 */
export function addonPath(): string {
  try {
    return (require('node-gyp-build') as Loader).resolve(root);
  } catch (cause) {
    throw new EspalierError(
      'DEVICE_UNAVAILABLE',
      `no native addon for ${process.platform}-${process.arch} in ${root}`,
      { op: 'load', remedy: 'in a checkout of the sources run npm run setup', cause },
    );
  }
}

/**
 * Loads the addon.
 *
 * @throws EspalierError `DEVICE_UNAVAILABLE` with what was tried and what to do
 */
export function loadAddon(): unknown {
  const path = addonPath();
  const restore = setLibraryVariables();
  try {
    return require(path);
  } catch (cause) {
    const message = (cause as Error).message;
    throw new EspalierError(
      'DEVICE_UNAVAILABLE',
      `the native addon could not be loaded: ${message}`,
      {
        op: 'load',
        remedy: remedyFor(message),
        details: { path },
        cause,
      },
    );
  } finally {
    restore();
  }
}

/**
 * Sets what the libraries below the addon read in the environment once, when they are loaded, where
 * the user has not set it.
 * @returns a function that gives the process its environment back, which its children inherit
 */
function setLibraryVariables(): () => void {
  const { env } = process;
  const variables = { ...waitPolicy(env), ...blasKernels(env) };
  const before = Object.keys(variables).map((name) => [name, env[name]] as const);
  Object.assign(env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete env[name];
    }
  };
}

/**
 * Tells the OpenMP runtime that idle compute threads sleep, but not within some 50 µs: waking one up
 * for the next loop can take as long as the loop.
 */
function waitPolicy({ OMP_WAIT_POLICY, GOMP_SPINCOUNT = '1000' }: NodeJS.ProcessEnv) {
  return OMP_WAIT_POLICY === undefined ? { OMP_WAIT_POLICY: 'passive', GOMP_SPINCOUNT } : {};
}

/**
 * Names the kernels of OpenBLAS by what the processor can do: for a model that it does not know, it
 * takes those of a processor of 2004.
 */
function blasKernels({ OPENBLAS_CORETYPE }: NodeJS.ProcessEnv) {
  if (OPENBLAS_CORETYPE !== undefined || process.arch !== 'x64') return {};
  const features = cpuFeatures();
  if (features.includes('avx512bw')) return { OPENBLAS_CORETYPE: 'SkylakeX' };
  return features.includes('avx2') ? { OPENBLAS_CORETYPE: 'Haswell' } : {};
}

const PACKAGES: Readonly<Record<string, string>> = {
  'libdnnl.so.2': 'libdnnl2',
  'libopenblas.so.0': 'libopenblas0-openmp',
  'libhwy.so.1': 'libhwy1',
  'libgomp.so.1': 'libgomp1',
  'libOpenCL.so.1': 'ocl-icd-libopencl1',
};

function remedyFor(message: string): string {
  const library = /(lib[\w.+-]+\.so[.\d]*): cannot open shared object/.exec(message)?.[1];
  const debian = library === undefined ? undefined : PACKAGES[library];
  if (debian !== undefined)
    return `install ${library}, on Debian or Ubuntu: apt-get install ${debian}`;
  if (library !== undefined) return `install ${library}`;
  if (/GLIBC(XX)?_/.test(message)) return 'this system is older than the binary: build from source';
  return 'in a checkout of the sources run npm run setup; espalier doctor tells more';
}
