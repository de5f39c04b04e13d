import { type FileHandle, open, readFile } from 'node:fs/promises';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { writeFileAtomically } from '../formats/write-file-atomically.js';

/** One line of a metrics file; NaN and infinities are written as null. */
export interface Metrics {
  /** Optimiser step after which the figures were taken. */
  step: number;
  [name: string]: number | string | null;
}

/** A file of JSON lines, `{"step":…,"loss":…}`, that grows while a training runs. */
export class MetricsLog {
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /**
   * Opens a log. With `resumeAfter`, the lines up to that step stay and later ones go, so that a
   * resumed training repeats none; without it the log begins empty.
   * @throws EspalierError `CONFIG` when it can't be written.
   */
  static async open(
    path: string,
    { resumeAfter }: { resumeAfter?: number } = {},
  ): Promise<MetricsLog> {
    const kept =
      resumeAfter === undefined
        ? []
        : (await readMetrics(path)).filter(({ step }) => step <= resumeAfter);
    await writeFileAtomically(path, (handle) => handle.writeFile(kept.map(line).join('')));
    try {
      return new MetricsLog(path, await open(path, 'a'));
    } catch (error) {
      throw fileError(error, 'write', path);
    }
  }

  /**
   * Adds a line.
   * @throws EspalierError `CONFIG` when it can't be written.
   */
  async add(metrics: Metrics): Promise<void> {
    try {
      await this.#handle.appendFile(line(metrics));
    } catch (error) {
      throw fileError(error, 'write', this.#path);
    }
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * The lines of a metrics file; a last one that was cut short by a kill is left out, a missing file has
 * none.
 * @throws EspalierError `FORMAT` for another line that is no JSON object with a step, `CONFIG`.
 */
export async function readMetrics(path: string): Promise<Metrics[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw fileError(error, 'read', path);
  });
  const lines = text.split('\n');
  lines.pop();
  return lines.map((one, i) => {
    try {
      const value: unknown = JSON.parse(one);
      if (typeof (value as Metrics | null)?.step === 'number') return value as Metrics;
    } catch {
      // Reported below like any other malformed line.
    }
    throw new EspalierError('FORMAT', `${path}, line ${i + 1}: expected a JSON object with a step`);
  });
}

function line(metrics: Metrics): string {
  return `${JSON.stringify(metrics)}\n`;
}
