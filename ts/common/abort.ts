import { setImmediate as nextTurn } from 'node:timers/promises';
import { EspalierError } from './errors.js';

/** Throws `ABORTED` when the signal has fired; the signal's reason becomes the cause. */
export function throwIfAborted(signal: AbortSignal | undefined, op?: string): void {
  if (signal?.aborted !== true) return;
  throw new EspalierError('ABORTED', `${op ?? 'the operation'} was aborted`, {
    ...(op === undefined ? {} : { op }),
    cause: signal.reason,
  });
}

/**
 * Lets the event loop serve what is waiting, then throws `ABORTED` when the signal has fired.
 * Long loops in JavaScript call it every few milliseconds.
 */
export async function breathe(signal?: AbortSignal, op?: string): Promise<void> {
  await nextTurn();
  throwIfAborted(signal, op);
}
