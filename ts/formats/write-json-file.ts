import { open, rename, rm } from 'node:fs/promises';
import { fileError } from '../common/file-error.js';
import { syncDirectoryOf } from './sync-directory.js';

/**
 * Writes a value as indented JSON; the file appears, or replaces the old one, only when complete.
 * @throws EspalierError `CONFIG` when it can't be written.
 */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.writing`;
  try {
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectoryOf(path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, 'write', path);
  }
}
