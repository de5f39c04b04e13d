import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The virtual environment of the peers: `.venv` in the checkout, or `ESPALIER_PEERS`. */
export function environmentPath(): string {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  return process.env.ESPALIER_PEERS ?? join(root, '.venv');
}

/**
 * The Python of the peers: that of their virtual environment, else `python3` of this machine when it
 * has PyTorch, else none.
 */
export function pythonPath(): string | undefined {
  const own = join(environmentPath(), 'bin', 'python');
  if (existsSync(own)) return own;
  const { status } = spawnSync('python3', ['-c', 'import torch'], { stdio: 'ignore' });
  return status === 0 ? 'python3' : undefined;
}
