import { writeFileAtomically } from './write-file-atomically.js';

/**
 * Writes a value as indented JSON; the file appears, or replaces the old one, only when complete.
 * @throws EspalierError `CONFIG` when it can't be written.
 */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, (handle) =>
    handle.writeFile(`${JSON.stringify(value, null, 2)}\n`),
  );
}
