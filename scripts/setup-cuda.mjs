// Makes sure that there is an nvcc to build the CUDA library with: the machine's own, else NVIDIA's
// wheels from PyPI in a private virtual environment. Costs well under a second when it is there.
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  findToolkit,
  oldestToolkit,
  toolkitEnvironment,
  toolkitPackages,
} from './cuda-toolkit.mjs';
import { fail, run, say } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

let toolkit = findToolkit();
if (toolkit === undefined) {
  say(`setup: no nvcc ${oldestToolkit} or newer in PATH or CUDA_HOME: fetching it from PyPI ...`);
  const remedy = `install CUDA ${oldestToolkit} and name it in CUDA_HOME, or Python 3 with venv and access to PyPI`;
  rmSync(toolkitEnvironment, { recursive: true, force: true });
  run('CUDA toolkit', 'python3', ['-m', 'venv', toolkitEnvironment], { remedy });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  run('CUDA toolkit', join(toolkitEnvironment, 'bin', 'python'), [...pip, ...toolkitPackages], {
    remedy,
  });
  toolkit = findToolkit();
  if (toolkit === undefined) fail('CUDA toolkit', 'the fetched nvcc does not run', remedy);
}
say(`setup: nvcc ${toolkit.version} from ${toolkit.source}: ${toolkit.nvcc}`);
