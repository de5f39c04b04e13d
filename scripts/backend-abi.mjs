// The number by which the addon and a backend library know that they were compiled with the same
// headers; CMake computes the same one (cmake/backend_abi.cmake).
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The first eight hexadecimal digits of the SHA-256 over the SHA-256s of `root`/binding/core/*.h. */
export function backendAbi(root) {
  const folder = join(root, 'binding', 'core');
  const sha256 = (data) => createHash('sha256').update(data).digest('hex');
  const headers = readdirSync(folder).filter((name) => name.endsWith('.h'));
  const hashes = headers.sort().map((name) => sha256(readFileSync(join(folder, name))));
  return sha256(hashes.join('')).slice(0, 8);
}
