// Where nvcc and the CUDA runtime are: the machine's own toolkit, or NVIDIA's wheels from PyPI in the
// virtual environment .cuda/.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';

/** Oldest major version whose nvcc knows every target of scripts/build-cuda.mjs. */
export const oldestToolkit = 13;

/** PyPI's packages that compile and link a library. */
export const toolkitPackages = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-cuda-runtime==13.0.96',
  'nvidia-cuda-cccl==13.0.85',
];

/** The virtual environment of those packages. */
export const toolkitEnvironment = '.cuda';

/** The toolkit around `nvcc`, or undefined when it does not run, is too old or lacks the runtime. */
function toolkitAround(nvcc, source) {
  const { status, stdout } = spawnSync(nvcc, ['--version'], { encoding: 'utf8' });
  const version = status === 0 ? /release (\d+)\.(\d+)/.exec(stdout) : null;
  if (version === null || Number(version[1]) < oldestToolkit) return undefined;
  const home = dirname(dirname(realpathSync(nvcc)));
  const libraries = ['lib64', 'lib', join('targets', 'x86_64-linux', 'lib')]
    .map((name) => join(home, name))
    .find((path) => existsSync(join(path, 'libcudart_static.a')));
  if (libraries === undefined) return undefined;
  return { nvcc, home, libraries, version: `${version[1]}.${version[2]}`, source };
}

/** nvcc in the virtual environment, or undefined. */
function wheelCompiler() {
  const library = join(toolkitEnvironment, 'lib');
  if (!existsSync(library)) return undefined;
  return readdirSync(library)
    .map((python) => resolve(library, python, 'site-packages', 'nvidia', 'cu13', 'bin', 'nvcc'))
    .find((path) => existsSync(path));
}

/**
 * The toolkit to build with, `{ nvcc, home, libraries, version, source }`, or undefined: nvcc from
 * PATH or CUDA_HOME when it is new enough, else the one of `npm run setup:cuda`.
 */
export function findToolkit() {
  const candidates = [
    ...(process.env.PATH ?? '').split(delimiter).map((folder) => [join(folder, 'nvcc'), 'PATH']),
    [join(process.env.CUDA_HOME || '/nowhere', 'bin', 'nvcc'), 'CUDA_HOME'],
    [wheelCompiler() ?? '/nowhere', toolkitEnvironment],
  ];
  for (const [nvcc, source] of candidates) {
    const found = existsSync(nvcc) ? toolkitAround(nvcc, source) : undefined;
    if (found) return found;
  }
  return undefined;
}
