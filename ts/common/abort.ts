import { setImmediate as nextTurn } from 'node:timers/promises';
import { EspalierError } from './errors.js';

/** The error that an aborted operation rejects with; the signal's reason is its cause. */
export function abortError(signal: AbortSignal | undefined, op?: string): EspalierError {
  return new EspalierError('ABORTED', `${op ?? 'the operation'} was aborted`, {
    ...(op === undefined ? {} : { op }),
    cause: signal?.reason,
  });
}

/** Throws `ABORTED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, op?: string): void {
  if (signal?.aborted === true) throw abortError(signal, op);
}

/**
 * Lets the event loop serve what is waiting, then throws `ABORTED` when the signal has fired.
 * Long loops in JavaScript call it every few milliseconds.
 */
export async function breathe(signal?: AbortSignal, op?: string): Promise<void> {
  await nextTurn();
  throwIfAborted(signal, op);
}
