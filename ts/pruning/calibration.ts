import { EspalierError } from '../common/errors.js';
import { Random } from '../common/random.js';
import { cutWindows, windowIds } from '../data/text-windows.js';
import type { Tokenizer } from '../data/tokenizer.js';

/** How calibration windows are drawn. */
export interface CalibrationOptions {
  /** UTF-8 text files. */
  files: readonly string[];
  /** How many windows are wanted, at least 1. */
  samples: number;
  /** Tokens in a window, at least 2. */
  window: number;
  /** The share of the windows that no equation sees, for accepting or rejecting its solution. */
  heldOut: number;
  seed: number;
  signal?: AbortSignal;
}

/** Windows of token ids drawn from texts. */
export interface Calibration {
  window: number;
  /** Windows for the equations. */
  training: Int32Array[];
  /** Windows for judging their solutions; none when there are fewer than four windows in all. */
  heldOut: Int32Array[];
  /** How many different windows the texts have. */
  available: number;
  /** How many of the windows the model wrote itself. */
  sampled: number;
}

/**
 * Draws calibration windows: every text is tokenized as one string and cut into non-overlapping
 * windows, and `samples` of all of them, or all if there are fewer, are taken at random.
 * @throws EspalierError `CONFIG` when the texts are shorter than one window or can't be read,
 * `FORMAT` when one is not UTF-8 or the tokenizer doesn't fit the vocabulary, `ABORTED`.
 */
export async function drawCalibration(
  tokenizer: Tokenizer,
  vocabSize: number,
  { files, samples, window, heldOut, seed, signal }: CalibrationOptions,
): Promise<Calibration> {
  const windows: Int32Array[] = [];
  let tokens = 0;
  for (const file of files) {
    const { ids } = await tokenizer.encodeFile(file, signal === undefined ? {} : { signal });
    const strange = ids.find((id) => id >= vocabSize);
    if (strange !== undefined) {
      throw new EspalierError(
        'FORMAT',
        `the tokenizer gives token ${strange}, but the model has ${vocabSize} tokens`,
        { remedy: "check that tokenizer.json is the model's own" },
      );
    }
    tokens += ids.length;
    if (ids.length < window) continue;
    const cut = cutWindows(ids, { window });
    for (let i = 0; i < cut.count; i++) windows.push(windowIds(cut, i, i + 1));
  }
  if (windows.length === 0) {
    throw new EspalierError(
      'CONFIG',
      `the calibration text has ${tokens} tokens, fewer than one window of ${window}`,
      { remedy: 'use a longer text or a smaller --window' },
    );
  }
  const count = Math.min(samples, windows.length);
  const random = new Random(seed);
  const drawn = random.shuffle(random.sample(windows.length, count));
  const judged = count < 4 ? 0 : Math.max(1, Math.round(count * heldOut));
  const take = (indices: number[]) => indices.map((i) => windows[i] as Int32Array);
  return {
    window,
    training: take(drawn.slice(judged)),
    heldOut: take(drawn.slice(0, judged)),
    available: windows.length,
    sampled: 0,
  };
}

/** The first windows of a calibration set, `share` of each kind but at least one training window. */
export function thinCalibration(calibration: Calibration, training: number): Calibration {
  return { ...calibration, training: calibration.training.slice(0, Math.max(1, training)) };
}
