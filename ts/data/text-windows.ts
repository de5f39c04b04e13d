import { EspalierError } from '../common/errors.js';

/** How a text is cut. */
export interface TextWindowsOptions {
  /** Length of a window in tokens, at least 2. */
  window: number;
  /** Distance between the starts of two windows, 1 to `window`; default `window`. */
  stride?: number;
  /** Use only the first windows. */
  maxWindows?: number;
}

/** A text cut into windows of one length; what is left over at the end is dropped. */
export interface TextWindows {
  /** Tokens of the whole text. */
  ids: Int32Array;
  window: number;
  stride: number;
  /** How many windows there are. */
  count: number;
}

/**
 * Checks how a text is to be cut, before it is there.
 * @throws EspalierError `CONFIG` for numbers out of range.
 */
export function checkWindowOptions(options: TextWindowsOptions): void {
  const { window, stride = window, maxWindows = Number.POSITIVE_INFINITY } = options;
  if (!Number.isInteger(window) || window < 2) {
    throw new EspalierError('CONFIG', `window must be a whole number from 2, got ${window}`);
  }
  if (!Number.isInteger(stride) || stride < 1 || stride > window) {
    throw new EspalierError(
      'CONFIG',
      `stride must be a whole number from 1 to ${window}, got ${stride}`,
    );
  }
  if (!(maxWindows >= 1)) {
    throw new EspalierError('CONFIG', `maxWindows must be at least 1, got ${maxWindows}`);
  }
}

/**
 * Cuts token ids into windows.
 * @throws EspalierError `CONFIG` for numbers out of range, or when the text is shorter than a window.
 */
export function cutWindows(ids: Int32Array, options: TextWindowsOptions): TextWindows {
  checkWindowOptions(options);
  const { window, stride = window, maxWindows = Number.POSITIVE_INFINITY } = options;
  if (ids.length < window) {
    throw new EspalierError(
      'CONFIG',
      `the text has ${ids.length} tokens, fewer than one window of ${window}`,
      { remedy: 'use a longer text or a shorter window' },
    );
  }
  const count = Math.min(Math.floor((ids.length - window) / stride) + 1, Math.floor(maxWindows));
  return { ids, window, stride, count };
}

/** The token ids of windows `[first, last)`, one after the other. */
export function windowIds(windows: TextWindows, first: number, last: number): Int32Array {
  const { ids, window, stride } = windows;
  const result = new Int32Array((last - first) * window);
  for (let i = first; i < last; i++) {
    result.set(ids.subarray(i * stride, i * stride + window), (i - first) * window);
  }
  return result;
}
