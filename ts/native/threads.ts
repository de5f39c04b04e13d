import { native } from './addon.js';
import { checkThreads, defaultThreads } from './default-threads.js';

/**
 * Sets how many threads the CPU device computes with, from the next operation on, for the whole
 * process; oneDNN, OpenBLAS and our kernels share them.
 *
 * @param threads 1 to 1024; default: see `defaultThreads`
 * @returns the number in effect
 * @throws EspalierError `CONFIG` for a number out of range, `DEVICE_UNAVAILABLE` without an addon
 */
export function setThreads(threads?: number): number {
  const count = threads === undefined ? defaultThreads().threads : checkThreads(threads);
  native().setThreads(count);
  return count;
}
