import { existsSync, readFileSync } from 'node:fs';
import { environment } from '../common/environment.js';
import type { EspalierError } from '../common/errors.js';
import { type NativeCudaProbe, native } from './addon.js';
import { findCudaLibrary } from './cuda-library.js';

/** Whether CUDA can be used, and why not. */
export interface CudaProbe {
  available: boolean;
  /** Version of the NVIDIA kernel driver, when there is one. */
  driver?: string;
  /** Where libcuda.so.1, the driver's user-space half, was found. */
  library?: string;
  /** Where espalier's own CUDA library was found. */
  backend?: string;
  /** The first GPU, when the driver names one: memory in bytes. */
  gpu?: { name: string; computeCapability: string; memory: number; count: number };
  /** What was found out, one fact a line; the first says why CUDA is or is not used. */
  reasons: readonly string[];
  /** What to do to compute on a GPU or without one. */
  remedy: string;
}

/** Places outside the dynamic linker's cache where libcuda.so.1 lives. */
const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu/tegra',
  '/usr/lib/aarch64-linux-gnu/nvidia',
  '/usr/lib64',
  '/usr/lib',
  '/usr/lib/wsl/lib',
  '/usr/local/nvidia/lib64',
];

/** Files and variables that the probe reads; tests give others. */
export interface CudaSurroundings {
  /** Root of the file system to look in; default `/`. */
  root?: string;
  variables?: NodeJS.ProcessEnv;
}

/**
 * Says whether CUDA can be used and why not, without making a context: looks for espalier's CUDA
 * library, asks it about the driver and the GPU, and reports the driver's state beside that.
 */
export function probeCuda({
  root = '',
  variables = process.env,
}: CudaSurroundings = {}): CudaProbe {
  const driver = driverVersion(root);
  const folders = [
    ...(variables.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean),
    ...LIBRARY_FOLDERS,
  ];
  const library = folders
    .map((folder) => `${folder}/libcuda.so.1`)
    .find((file) => existsSync(root + file));
  const { path: backend, places } = findCudaLibrary(variables);
  const asked = backend === undefined ? undefined : ask(backend);

  const reasons = [
    backend === undefined
      ? `espalier has no CUDA library here: looked for ${places.join(', ')}`
      : asked instanceof Error
        ? asked.message
        : asked!.reason,
  ];
  reasons.push(
    driver === undefined ? 'no NVIDIA kernel driver is loaded' : `NVIDIA driver ${driver}`,
  );
  reasons.push(library === undefined ? 'libcuda.so.1 was not found' : `found ${library}`);
  const visible = environment(variables).cudaVisibleDevices;
  if (visible !== undefined) {
    const hides = visible === '' || visible === '-1';
    reasons.push(`CUDA_VISIBLE_DEVICES=${visible}${hides ? ' hides every GPU' : ''}`);
  }
  const found = asked instanceof Error ? undefined : asked;
  const available = found?.usable === true;
  return {
    available,
    ...(driver === undefined ? {} : { driver }),
    ...(library === undefined ? {} : { library }),
    ...(backend === undefined ? {} : { backend }),
    ...(found === undefined || found.name === '' ? {} : { gpu: gpuOf(found) }),
    reasons,
    remedy: available ? 'use --device cuda or auto' : 'use --device cpu or auto',
  };
}

/** The library's answers by path: the driver is started by the first question. */
const answers = new Map<string, NativeCudaProbe | Error>();

function ask(path: string): NativeCudaProbe | Error {
  let answer = answers.get(path);
  if (answer === undefined) {
    try {
      answer = native().probeCuda(path);
    } catch (error) {
      answer = error as EspalierError;
    }
    answers.set(path, answer);
  }
  return answer;
}

function gpuOf({ name, computeCapability, memory, devices }: NativeCudaProbe) {
  const capability = `${Math.floor(computeCapability / 10)}.${computeCapability % 10}`;
  return { name, computeCapability: capability, memory, count: devices };
}

function driverVersion(root: string): string | undefined {
  try {
    const text = readFileSync(`${root}/proc/driver/nvidia/version`, 'utf8');
    return /Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s/.exec(text)?.[1] ?? 'of unknown version';
  } catch {
    return undefined;
  }
}
