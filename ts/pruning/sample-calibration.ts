import { Random } from '../common/random.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { disposeLayer, loadLayer } from '../models/layer-weights.js';
import { disposeOuter, loadOuter } from '../models/outer-weights.js';
import { sampleSequences, type SampleOptions } from '../models/sample-sequences.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Calibration } from './calibration.js';

/** Sets the numbers that samples are drawn with apart from those that windows are drawn with. */
const SAMPLING_STREAM = 2 ** 40;

/** What {@link addSampledWindows} works with. */
export interface SampleCalibrationOptions extends Pick<SampleOptions, 'signal' | 'onTokens'> {
  checkpoint: Checkpoint;
  /** Inverse frequencies of the rotation, f32 [headDim / 2]. */
  frequencies: Tensor;
  seed: number;
}

/**
 * Adds windows that the unpruned model wrote itself to a calibration set, to the training windows and
 * to the held-out ones in the same proportion. They stand for what the model can do beyond the kind of
 * text at hand [ours]. Each begins with the first token of a window of text, the rest is sampled.
 * @param count how many windows are written
 * @throws EspalierError `ABORTED`, `OUT_OF_MEMORY`
 */
export async function addSampledWindows(
  calibration: Calibration,
  count: number,
  { checkpoint, frequencies, seed, ...watch }: SampleCalibrationOptions,
): Promise<Calibration> {
  const { window, training, heldOut } = calibration;
  const text = [...training, ...heldOut];
  const first = Array.from({ length: count }, (_, i) => text[i % text.length]?.[0] as number);
  const { config } = checkpoint;
  const outer = loadOuter(checkpoint);
  const layers = config.layers.map((_, i) => loadLayer(checkpoint, i));
  try {
    const written = await sampleSequences(
      { config, outer, layers, frequencies },
      {
        first,
        length: window,
        random: new Random((seed % SAMPLING_STREAM) + SAMPLING_STREAM),
        ...watch,
      },
    );
    const judging = Math.round((count * heldOut.length) / text.length);
    return {
      ...calibration,
      sampled: count,
      training: interleaved(training, written.slice(judging)),
      heldOut: [...heldOut, ...written.slice(0, judging)],
    };
  } finally {
    for (const layer of layers) disposeLayer(layer);
    disposeOuter(outer);
  }
}

/** Merges two lists evenly, so that the first few of the result are of both in proportion. */
function interleaved<T>(a: readonly T[], b: readonly T[]): T[] {
  const place = (list: readonly T[]) =>
    list.map((item, i) => ({ item, at: (i + 0.5) / list.length }));
  return [...place(a), ...place(b)].sort((x, y) => x.at - y.at).map(({ item }) => item);
}
