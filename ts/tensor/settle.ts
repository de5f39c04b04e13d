import { throwIfAborted } from '../common/abort.js';
import type { TypedArray } from '../native/types.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Reads a tensor, or rejects with `ABORTED` as soon as the signal fires: what is queued on the stream
 * then still runs, but nobody waits for it.
 */
export async function settle(tensor: Tensor, signal?: AbortSignal): Promise<TypedArray> {
  throwIfAborted(signal);
  const reading = tensor.read();
  if (signal === undefined) return reading;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      try {
        throwIfAborted(signal);
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([reading, aborted]);
  } finally {
    reading.catch(() => {});
    signal.removeEventListener('abort', onAbort);
  }
}

/** Waits for the only element of a tensor. */
export async function settleNumber(tensor: Tensor, signal?: AbortSignal): Promise<number> {
  return Number((await settle(tensor, signal))[0]);
}

/** Waits until a tensor is computed, without copying it out; rejects when that failed. */
export async function settled(tensor: Tensor, signal?: AbortSignal): Promise<void> {
  if (tensor.size === 0) return;
  const flat = tensor.reshape([tensor.size]);
  const first = flat.slice(0, 1);
  flat.dispose();
  try {
    await settle(first, signal);
  } finally {
    first.dispose();
  }
}
