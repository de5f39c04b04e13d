import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a rename in the folder that holds `path` survive a power cut, where the system allows it. */
export async function syncDirectoryOf(path: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(dirname(path), 'r');
    await handle.sync();
  } catch {
    // Some file systems refuse to sync a folder; the rename itself has happened.
  } finally {
    await handle?.close();
  }
}
