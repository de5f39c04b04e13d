// Where NVIDIA's libraries of products and factorisations lie on this machine, beyond the places that
// the CUDA library looks at by itself: those that came with a Python package such as PyTorch.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The library whose CUDA version decides. */
const NAME = /^libcublasLt\.so\.(\d+)$/;
/** What espalier is built for. */
const WANTED = 13;

/** site-packages of the environments that are active, of `.venv`, and of `python3` in PATH. */
function sitePackages() {
  const environments = [
    process.env.ESPALIER_PEERS,
    '.venv',
    process.env.VIRTUAL_ENV,
    process.env.CONDA_PREFIX,
  ].filter(Boolean);
  const folders = environments.flatMap((environment) => {
    const library = join(environment, 'lib');
    const pythons = existsSync(library) ? readdirSync(library) : [];
    return pythons.map((python) => join(library, python, 'site-packages'));
  });
  const program = 'import sys; print("\\n".join(p for p in sys.path if p.endswith("-packages")))';
  const { stdout } = spawnSync('python3', ['-c', program], { encoding: 'utf8' });
  return [...folders, ...(stdout ?? '').split('\n').filter(Boolean)];
}

/** Folders of NVIDIA's wheels in a site-packages: one for all of CUDA 13, one for each library before. */
function wheelFolders(site) {
  const root = join(site, 'nvidia');
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .map((name) => resolve(root, name, 'lib'))
    .filter((folder) => existsSync(folder));
}

/**
 * Looks for cuBLASLt in Python's packages.
 *
 * @param sites folders of Python packages; default: those of the environments at hand
 * @returns `folder` to put into ESPALIER_CUDA_LIBRARY_PATH, undefined when there is none of the right
 * version, and a `line` that says what was found and whether it can be used
 */
export function findNvidiaLibraries(sites) {
  const named = process.env.ESPALIER_CUDA_LIBRARY_PATH;
  if (named && sites === undefined) {
    const line = `NVIDIA's libraries: ESPALIER_CUDA_LIBRARY_PATH=${named}`;
    return { folder: named, line };
  }
  const others = [];
  for (const folder of (sites ?? sitePackages()).flatMap(wheelFolders)) {
    const versions = readdirSync(folder).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
    const version = Math.max(0, ...versions);
    if (version === WANTED) return { folder, line: `NVIDIA's libraries: ${folder}` };
    if (version > 0) others.push(`cuBLASLt ${version} in ${folder}`);
  }
  const instead = others.length === 0 ? 'none in Python packages' : others.join(', ');
  return {
    folder: undefined,
    line: `NVIDIA's libraries: ${instead}; version ${WANTED} is needed, without it our own kernels multiply and the host factorises`,
  };
}
