import { EspalierError } from '../common/errors.js';
import { eachInside, type Pieces } from '../common/pieces.js';

let recording = true;

/** Whether ops are recorded now. */
export function isRecording(): boolean {
  return recording;
}

function withRecording<R>(state: boolean, body: () => R): R {
  const before = recording;
  recording = state;
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new EspalierError('CONFIG', 'noGrad: expected a synchronous function, got a promise', {
        op: 'noGrad',
      });
    }
    return result;
  } finally {
    recording = before;
  }
}

/**
 * Runs `body` without recording: nothing inside keeps activations or leads gradients anywhere.
 *
 * @throws EspalierError `CONFIG` when `body` returns a promise
 */
export function noGrad<R>(body: () => R): R {
  return withRecording(false, body);
}

/** As {@link noGrad}, of work in pieces: what others do between two of them is recorded as ever. */
export function noGradInPieces<R>(pieces: Pieces<R>): Pieces<R> {
  return eachInside(pieces, noGrad);
}

/** Runs `body` with recording on, also inside {@link noGrad}. */
export function withGrad<R>(body: () => R): R {
  return withRecording(true, body);
}
