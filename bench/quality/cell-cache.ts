import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** Outcomes of finished cells in a file of lines, so that a run that was cut short goes on. */
export class CellCache<C, O> {
  readonly #outcomes = new Map<string, O>();

  /** Opens the cache, or begins a new one when `fresh`; `keyOf` tells cells apart. */
  constructor(
    readonly path: string,
    fresh: boolean,
    readonly keyOf: (cell: C) => string,
  ) {
    mkdirSync(dirname(path), { recursive: true });
    if (fresh) rmSync(path, { force: true });
    if (!existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      // The last line may be half-written.
      try {
        const { key, outcome } = JSON.parse(line) as { key: string; outcome: O };
        this.#outcomes.set(key, outcome);
      } catch {}
    }
  }

  /** What a cell measured, or `undefined`. */
  get(cell: C): O | undefined {
    return this.#outcomes.get(this.keyOf(cell));
  }

  /** Keeps an outcome. */
  set(cell: C, outcome: O): void {
    const key = this.keyOf(cell);
    this.#outcomes.set(key, outcome);
    appendFileSync(this.path, `${JSON.stringify({ key, outcome })}\n`);
  }
}
