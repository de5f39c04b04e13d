import { existsSync, readFileSync } from 'node:fs';
import { environment } from '../common/environment.js';

/** Whether CUDA can be used, and why not. */
export interface CudaProbe {
  available: boolean;
  /** Version of the NVIDIA kernel driver, when there is one. */
  driver?: string;
  /** Where libcuda.so.1, the driver's user-space half, was found. */
  library?: string;
  /** What was found out, one fact a line; the first says why CUDA is not used. */
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
 * Says why CUDA is not used, without creating a context: this package carries the CPU backend only,
 * so the driver's state is reported for whoever plans to compute on this machine's GPU.
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
  const visible = environment(variables).cudaVisibleDevices;

  const reasons = ['this build of espalier has no CUDA library: it computes on the CPU'];
  reasons.push(
    driver === undefined ? 'no NVIDIA kernel driver is loaded' : `NVIDIA driver ${driver}`,
  );
  reasons.push(library === undefined ? 'libcuda.so.1 was not found' : `found ${library}`);
  if (visible !== undefined) {
    const hides = visible === '' || visible === '-1';
    reasons.push(`CUDA_VISIBLE_DEVICES=${visible}${hides ? ' hides every GPU' : ''}`);
  }
  return {
    available: false,
    ...(driver === undefined ? {} : { driver }),
    ...(library === undefined ? {} : { library }),
    reasons,
    remedy: 'use --device cpu or auto',
  };
}

function driverVersion(root: string): string | undefined {
  try {
    const text = readFileSync(`${root}/proc/driver/nvidia/version`, 'utf8');
    return /Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s/.exec(text)?.[1] ?? 'of unknown version';
  } catch {
    return undefined;
  }
}
