import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { fileError } from '../common/file-error.js';
import { syncDirectoryOf } from './sync-directory.js';

/**
 * Writes a file that appears, or replaces the old one, only when it is complete on the disk.
 * @param write puts the content into the open file
 * @returns what `write` returns
 * @throws EspalierError `CONFIG` when it can't be written, and what `write` throws.
 */
export async function writeFileAtomically<R>(
  path: string,
  write: (handle: FileHandle) => Promise<R>,
): Promise<R> {
  const temporary = `${path}.writing`;
  try {
    const handle = await open(temporary, 'w');
    let result: R;
    try {
      result = await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectoryOf(path);
    return result;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, 'write', path);
  }
}
