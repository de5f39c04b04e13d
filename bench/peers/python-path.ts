import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The virtual environment of the peers: `.venv` in the checkout, or `ESPALIER_PEERS`. */
export function environmentPath(): string {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  return process.env.ESPALIER_PEERS ?? join(root, '.venv');
}

/** The Python of the peers' virtual environment. */
export function pythonPath(): string {
  return join(environmentPath(), 'bin', 'python');
}
