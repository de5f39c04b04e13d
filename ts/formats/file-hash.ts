import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { throwIfAborted } from '../common/abort.js';
import { fileError } from '../common/file-error.js';

/**
 * SHA-256 of a file, in hexadecimal, read in pieces.
 * @throws EspalierError `CONFIG` when it can't be read, `ABORTED`.
 */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash, signal === undefined ? {} : { signal });
  } catch (error) {
    throwIfAborted(signal, 'hashFile');
    throw fileError(error, 'read', path);
  }
  return hash.digest('hex');
}
