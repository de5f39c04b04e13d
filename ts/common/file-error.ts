import { EspalierError } from './errors.js';

const CAUSES: Readonly<Record<string, readonly [cause: string, remedy: string]>> = {
  ENOENT: ['no such file or directory', 'check the path'],
  ENOTDIR: ['a part of the path is not a directory', 'check the path'],
  EISDIR: ['it is a directory', 'name a file'],
  EACCES: ['permission denied', 'check the permissions of the path and of the folders above it'],
  EPERM: ['operation not permitted', 'check the permissions of the path'],
  EROFS: ['the file system is read-only', 'choose another place'],
  ENOSPC: ['no space is left on the device', 'free some space or choose another place'],
  EDQUOT: ['the disk quota is used up', 'free some space or choose another place'],
  EFBIG: ['the file would be larger than allowed', 'raise the limit or use smaller shards'],
  EMFILE: ['too many files are open', 'raise the limit on open files (ulimit -n)'],
  ELOOP: ['too many symbolic links', 'check the path'],
  ENAMETOOLONG: ['the name is too long', 'choose a shorter path'],
  EIO: ['the device reported an input/output error', 'check the device'],
  EXDEV: ['it lies on another file system', 'choose a place on the same file system'],
};

/**
 * Turns a failed file operation into an `EspalierError` with code `CONFIG` that names the path, the
 * cause and a remedy; `details.errno` carries the system's name of it. An `EspalierError` passes
 * through untouched.
 * @param action what was being done, as in "cannot {action} {path}".
 */
export function fileError(error: unknown, action: string, path: string): EspalierError {
  if (error instanceof EspalierError) return error;
  const errno = (error as NodeJS.ErrnoException | null)?.code;
  const known = errno === undefined ? undefined : CAUSES[errno];
  const cause = known?.[0] ?? (error instanceof Error ? error.message : String(error));
  return new EspalierError('CONFIG', `cannot ${action} ${path}: ${cause}`, {
    ...(known === undefined ? {} : { remedy: known[1] }),
    details: { path, ...(errno === undefined ? {} : { errno }) },
    cause: error,
  });
}
