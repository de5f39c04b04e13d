import { breathe } from './abort.js';

/**
 * Work in JavaScript that may be put down at each `yield` and gone on with later. Whoever runs it
 * decides how long a turn of the event loop it may take.
 */
export type Pieces<R> = Generator<undefined, R, undefined>;

/** Milliseconds of a turn. */
const TURN = 2;

/** Does all of it in this turn of the event loop. */
export function atOnce<R>(pieces: Pieces<R>): R {
  for (;;) {
    const piece = pieces.next();
    if (piece.done) return piece.value;
  }
}

/**
 * Does it in turns of a few milliseconds, between which the event loop serves what is waiting.
 * @throws EspalierError `ABORTED`, after the work's own `finally`, and what the work throws
 */
export async function inTurns<R>(pieces: Pieces<R>, signal?: AbortSignal, op?: string): Promise<R> {
  let start = performance.now();
  try {
    for (;;) {
      const piece = pieces.next();
      if (piece.done) return piece.value;
      if (performance.now() - start < TURN) continue;
      await breathe(signal, op);
      start = performance.now();
    }
  } finally {
    // Ends what an abort left half done; nothing when all is done.
    pieces.return(undefined as R);
  }
}
