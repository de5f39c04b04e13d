import { cpus, freemem, release, totalmem } from 'node:os';
import { sep } from 'node:path';
import { packageVersion } from '../common/environment.js';
import type { EspalierError } from '../common/errors.js';
import { native } from './addon.js';
import { cpuFeatures } from './cpu-features.js';
import { cudaLibraries } from './cuda-libraries.js';
import { type CudaProbe, probeCuda } from './cuda-probe.js';
import { defaultThreads } from './default-threads.js';
import { addonPath } from './load-addon.js';

/** Something that keeps espalier from working here, and what to do about it. */
export interface DoctorProblem {
  cause: string;
  remedy: string;
}

/** What `doctor()` found. */
export interface DoctorReport {
  /** True when nothing keeps espalier from working. */
  healthy: boolean;
  /** Version of this package. */
  version: string;
  node: { version: string; supported: boolean };
  platform: { os: string; kernel: string; architecture: string; libc: string | undefined };
  addon: {
    loaded: boolean;
    path: string | undefined;
    kind: 'local build' | 'prebuild' | undefined;
  };
  /** `simd`: the instruction set that our kernels use; `undefined` when the addon did not load. */
  cpu: { model: string; processors: number; features: string[]; simd: string | undefined };
  /** Name and version of the libraries inside the addon; empty when it did not load. */
  libraries: Readonly<Record<string, string>>;
  /** The default of `--threads` and where it comes from. */
  threads: { default: number; source: string };
  /** Bytes; `available` is what a new process may use without swapping. */
  memory: { total: number; available: number };
  /** `libraries`: which of NVIDIA's are used or missing, a sentence each, where CUDA can be used. */
  cuda: CudaProbe & { libraries: readonly string[] };
  problems: DoctorProblem[];
}

/**
 * Describes this machine as espalier sees it. Never throws for what it finds: an addon that does not
 * load is a problem in the report, beside everything else.
 */
export function doctor(): DoctorReport {
  const problems: DoctorProblem[] = [];
  const attempt = <T>(probe: () => T): T | undefined => {
    try {
      return probe();
    } catch (error) {
      const { message, remedy = 'report it with the output of espalier doctor --verbose' } =
        error as EspalierError;
      if (!problems.some(({ cause }) => cause === message))
        problems.push({ cause: message, remedy });
      return undefined;
    }
  };

  const node = { version: process.version, supported: isSupported(process.versions.node) };
  if (!node.supported) {
    problems.push({
      cause: `Node ${process.version} is too old`,
      remedy: 'install Node 20.17 or newer',
    });
  }
  const threads = attempt(defaultThreads);
  const path = attempt(addonPath);
  const capabilities = attempt(() => native().capabilities());
  const processors = cpus();
  const cuda = probeCuda();
  return {
    healthy: problems.length === 0,
    version: packageVersion(),
    node,
    platform: {
      os: process.platform,
      kernel: release(),
      architecture: process.arch,
      libc: libc(),
    },
    addon: {
      loaded: capabilities !== undefined,
      path,
      kind:
        path === undefined
          ? undefined
          : path.includes(`${sep}prebuilds${sep}`)
            ? 'prebuild'
            : 'local build',
    },
    cpu: {
      model: processors[0]?.model ?? 'unknown',
      processors: processors.length,
      features: cpuFeatures(),
      simd: capabilities?.simd,
    },
    libraries: capabilities?.libraries ?? {},
    threads: { default: threads?.threads ?? 1, source: threads?.source ?? 'none' },
    memory: { total: totalmem(), available: freemem() },
    cuda: { ...cuda, libraries: cuda.available ? cudaLibraries(cuda.backend) : [] },
    problems,
  };
}

/** Node ≥ 20.17. */
function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 17);
}

/** glibc and its version, or undefined where Node does not say (musl). */
function libc(): string | undefined {
  const report = process.report?.getReport() as
    | { header?: { glibcVersionRuntime?: string } }
    | undefined;
  const version = report?.header?.glibcVersionRuntime;
  return version === undefined ? undefined : `glibc ${version}`;
}
