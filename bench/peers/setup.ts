// npm run bench:peers: makes the virtual environment of the Python peers. Idempotent.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { environmentPath } from './python-path.js';

const python = join(environmentPath(), 'bin', 'python');
/** What the peers import. PyPI's torch for Linux needs its CUDA libraries even on a CPU. */
const PACKAGES = ['torch', 'transformers', 'peft', 'safetensors', 'numpy', 'scipy'];

function run(step: string, program: string, parameters: string[]): void {
  const { status, error } = spawnSync(program, parameters, { stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  process.stderr.write(`error: ${step} failed: ${error?.message ?? `exit code ${status}`}\n`);
  process.stderr.write(
    'remedy: Python 3.10 or newer with venv (apt-get install python3-venv), and room for 6 GB\n',
  );
  process.exit(1);
}

/** True when everything can be imported. */
function complete(): boolean {
  if (!existsSync(python)) return false;
  const program = `import ${PACKAGES.join(', ')}`;
  return spawnSync(python, ['-c', program], { stdio: 'ignore' }).status === 0;
}

if (complete()) {
  process.stderr.write('peers: ready\n');
} else {
  process.stderr.write('peers: installing torch, transformers and peft, several GB\n');
  if (!existsSync(python)) run('venv', 'python3', ['-m', 'venv', environmentPath()]);
  run('pip', python, ['-m', 'pip', 'install', '--quiet', ...PACKAGES]);
  if (!complete()) {
    process.stderr.write('error: the peers do not import\nremedy: remove .venv and run again\n');
    process.exit(1);
  }
}
