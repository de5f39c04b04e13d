import { open, stat } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import {
  headerLength,
  parseSafetensorsHeader,
  type SafetensorsHeader,
} from './safetensors-header.js';

/** A safetensors file whose header has been read and checked. */
export interface SafetensorsFile extends SafetensorsHeader {
  path: string;
  /** Size of the file in bytes. */
  bytes: number;
}

/**
 * Reads the header of a safetensors file; the tensors themselves stay on disk.
 * Source: the safetensors format (8-byte little-endian length, JSON header, data).
 * @throws EspalierError `FORMAT` when the file breaks the format, `CONFIG` when it can't be read.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  try {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if (!(await stat(path)).isFile()) {
      throw new EspalierError('FORMAT', `${path} is not a regular file`, { details: { path } });
    }
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const prefix = Buffer.alloc(8);
      await handle.read(prefix, 0, 8, 0);
      const header = Buffer.alloc(headerLength(prefix, size, path));
      const { bytesRead } = await handle.read(header, 0, header.length, 8);
      if (bytesRead !== header.length) {
        throw new EspalierError('FORMAT', `${path} ended in the middle of its header`);
      }
      return { path, bytes: size, ...parseSafetensorsHeader(header, size, path) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}
