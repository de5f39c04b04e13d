import { open, stat } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { parseStrictJson } from './strict-json.js';

/**
 * Reads a JSON file that is not trusted and must hold an object.
 * @param maxBytes the largest size that is read at all.
 * @throws EspalierError `FORMAT` (size, UTF-8, JSON, duplicate keys), `CONFIG` when it can't be read.
 */
export async function readJsonFile(
  path: string,
  maxBytes = 16_000_000,
): Promise<Record<string, unknown>> {
  let bytes: Buffer;
  try {
    if (!(await stat(path)).isFile()) throw formatError(path, 'is not a regular file');
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw formatError(path, `is ${size} bytes long, more than ${maxBytes}`);
      bytes = Buffer.alloc(size);
      const { bytesRead } = await handle.read(bytes, 0, size, 0);
      bytes = bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  const value = parseStrictJson(bytes, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw formatError(path, 'does not hold a JSON object');
  }
  return value as Record<string, unknown>;
}

function formatError(path: string, why: string): EspalierError {
  return new EspalierError('FORMAT', `${path} ${why}`, { details: { path } });
}
