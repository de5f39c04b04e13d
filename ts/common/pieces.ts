import { breathe } from './abort.js';

/**
 * Work in JavaScript that may be put down at each `yield` and gone on with later. Whoever runs it
 * decides how long a turn of the event loop it may take.
 */
export type Pieces<R> = Generator<undefined, R, undefined>;

/** Milliseconds of a turn. */
const TURN = 2;

/** A turn of the event loop, as long as one piece of work after the other may share it. */
export class Turn {
  #start = performance.now();

  /** Whether others should have theirs. */
  get over(): boolean {
    return performance.now() - this.#start >= TURN;
  }

  /**
   * Lets the event loop serve what is waiting; the next turn starts.
   * @throws EspalierError `ABORTED`
   */
  async end(signal?: AbortSignal, op?: string): Promise<void> {
    await breathe(signal, op);
    this.#start = performance.now();
  }
}

/** The same pieces, each done inside `around`; given up before their end, they are given up too. */
export function* eachInside<R>(pieces: Pieces<R>, around: <T>(piece: () => T) => T): Pieces<R> {
  try {
    for (;;) {
      const piece = around(() => pieces.next());
      if (piece.done) return piece.value;
      yield;
    }
  } finally {
    pieces.return(undefined as R);
  }
}

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
  const turn = new Turn();
  try {
    for (;;) {
      const piece = pieces.next();
      if (piece.done) return piece.value;
      if (turn.over) await turn.end(signal, op);
    }
  } finally {
    // Ends what an abort left half done; nothing when all is done.
    pieces.return(undefined as R);
  }
}
