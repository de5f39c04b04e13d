import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Cell, cellKey, type Outcome } from './cells.js';

/** Outcomes of finished cells in a file of lines, so that a run that was cut short goes on. */
export class CellCache {
  readonly #outcomes = new Map<string, Outcome>();

  /** Opens the cache, or begins a new one when `fresh`. */
  constructor(
    readonly path: string,
    fresh: boolean,
  ) {
    mkdirSync(dirname(path), { recursive: true });
    if (fresh) rmSync(path, { force: true });
    if (!existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      // The last line may be half-written.
      try {
        const { key, outcome } = JSON.parse(line) as { key: string; outcome: Outcome };
        this.#outcomes.set(key, outcome);
      } catch {}
    }
  }

  /** What a cell measured, or `undefined`. */
  get(cell: Cell): Outcome | undefined {
    return this.#outcomes.get(cellKey(cell));
  }

  /** Keeps an outcome. */
  set(cell: Cell, outcome: Outcome): void {
    const key = cellKey(cell);
    this.#outcomes.set(key, outcome);
    appendFileSync(this.path, `${JSON.stringify({ key, outcome })}\n`);
  }
}
