import { lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { syncDirectoryOf } from './sync-directory.js';

/** Options of {@link OutputDirectory.open}. */
export interface OutputDirectoryOptions {
  /** Replace an existing model directory, once the new one is complete. Default false. */
  force?: boolean;
  /** Go on in the unfinished directory of an interrupted run. Default false. */
  resume?: boolean;
}

/** Written by us into every unfinished directory: who works in it. */
const LOCK = '.lock';

/** A directory with one of these files is a model, an adapter or the output of a run. */
const OURS = ['config.json', 'adapter_config.json', 'run.json'];

/**
 * A directory that appears under its name only when it is complete. The work happens in the sibling
 * `NAME.partial`, which an interrupted run leaves behind for `resume`.
 */
export class OutputDirectory {
  /** Where the directory will appear. */
  readonly target: string;
  /** Where files are written until then. */
  readonly path: string;
  /** Whether `path` holds the work of an interrupted run. */
  readonly resumed: boolean;
  readonly #force: boolean;

  private constructor(target: string, path: string, resumed: boolean, force: boolean) {
    this.target = target;
    this.path = path;
    this.resumed = resumed;
    this.#force = force;
  }

  /**
   * Starts, or with `resume` continues, an output directory.
   * @throws EspalierError `CONFIG` when the target exists (and `force` is not given, or it is not a
   * model directory), when an unfinished run is in the way, or when another process works on it.
   */
  static async open(
    directory: string,
    { force = false, resume = false }: OutputDirectoryOptions = {},
  ): Promise<OutputDirectory> {
    const target = resolve(directory);
    const path = `${target}.partial`;
    try {
      await checkTarget(target, directory, force);
      const unfinished = await exists(path);
      if (unfinished) await refuseIfBusy(path, directory);
      if (unfinished && !resume) {
        if (!force) {
          throw new EspalierError('CONFIG', `an unfinished run is in the way: ${path}`, {
            remedy: 'continue it with --resume, or start over with --force',
            details: { path },
          });
        }
        await rm(path, { recursive: true });
      }
      if (!unfinished || !resume) {
        await mkdir(dirname(path), { recursive: true });
        await mkdir(path);
      }
      await lock(path);
      return new OutputDirectory(target, path, unfinished && resume, force);
    } catch (error) {
      throw fileError(error, 'create', path);
    }
  }

  /** The full path of a file in the unfinished directory. */
  file(name: string): string {
    return join(this.path, name);
  }

  /**
   * Lets the directory appear under its name. With `force`, the old one is moved aside first and
   * deleted last, so that at every moment one of the two is complete on the disk.
   * @throws EspalierError `CONFIG`; the unfinished directory is then still there.
   */
  async commit(): Promise<void> {
    const old = `${this.target}.replaced-${process.pid}`;
    try {
      await checkTarget(this.target, this.target, this.#force);
      const replaces = await exists(this.target);
      await rm(this.file(LOCK), { force: true });
      await syncDirectoryOf(this.file(LOCK));
      if (replaces) await rename(this.target, old);
      try {
        await rename(this.path, this.target);
      } catch (error) {
        if (replaces) await rename(old, this.target);
        throw error;
      }
      await syncDirectoryOf(this.target);
      if (replaces) await rm(old, { recursive: true, force: true });
    } catch (error) {
      throw fileError(error, 'complete', this.target);
    }
  }

  /** Deletes the unfinished directory. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  /** Leaves the unfinished directory for a later run with `resume`. */
  async suspend(): Promise<void> {
    await rm(this.file(LOCK), { force: true });
  }
}

/** Only what looks like a model directory is ever replaced: `--output ~ --force` must not hurt. */
async function checkTarget(target: string, shown: string, force: boolean): Promise<void> {
  if (!(await exists(target))) return;
  const details = { path: target };
  if (!(await stat(target)).isDirectory()) {
    throw new EspalierError('CONFIG', `${shown} exists and is not a directory`, {
      remedy: 'choose another name',
      details,
    });
  }
  if (!force) {
    throw new EspalierError('CONFIG', `${shown} exists already`, {
      remedy: 'choose another name, or replace it with --force',
      details,
    });
  }
  const names = await readdir(target);
  if (names.length > 0 && !names.some((name) => OURS.includes(name))) {
    throw new EspalierError('CONFIG', `${shown} is not a model directory, so it is not replaced`, {
      remedy: 'choose another name, or remove it yourself',
      details,
    });
  }
}

async function lock(path: string): Promise<void> {
  const handle = await open(join(path, LOCK), 'wx');
  try {
    await handle.writeFile(String(process.pid));
  } finally {
    await handle.close();
  }
}

/** A lock whose process is gone, killed for example, is removed. */
async function refuseIfBusy(path: string, shown: string): Promise<void> {
  const file = join(path, LOCK);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const pid = Number(text);
  if (Number.isInteger(pid) && pid > 0 && isAlive(pid)) {
    throw new EspalierError('CONFIG', `process ${pid} is writing ${shown}`, {
      remedy: 'wait for it, or choose another name',
      details: { path, pid },
    });
  }
  await rm(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
