import { Tokenizer } from '../../data/tokenizer.js';
import type { Checkpoint } from '../../models/checkpoint.js';
import { type Calibration, drawCalibration } from '../../pruning/calibration.js';
import { addSampledWindows } from '../../pruning/sample-calibration.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { ResolvedPruneOptions } from './prune-options.js';
import { isAffordable } from './affordable.js';

/** The share of the windows that `comp` lets the model write, where that is affordable [ours]. */
const SAMPLED_SHARE = 0.5;

/** What {@link calibrate} works on. */
export interface CalibrateSetup {
  /** The model's directory. */
  directory: string;
  checkpoint: Checkpoint;
  /** Inverse frequencies of the rotation, f32 [headDim / 2]. */
  frequencies: Tensor;
  options: ResolvedPruneOptions;
  signal?: AbortSignal;
  onProgress: (phase: 'tokenize' | 'sample', completed: number, total: number) => void;
}

/**
 * The calibration windows of a run: some drawn from the texts, the others written by the model.
 * @throws EspalierError as `drawCalibration` and `addSampledWindows`
 */
export async function calibrate({
  directory,
  checkpoint,
  frequencies,
  options,
  signal,
  onProgress,
}: CalibrateSetup): Promise<{ calibration: Calibration; warnings: string[] }> {
  const { samples, window, heldOut, seed, calibration: files } = options;
  const { config } = checkpoint;
  const share =
    options.selfSampled !== 'auto'
      ? options.selfSampled
      : options.method === 'comp' && isAffordable(config, window)
        ? SAMPLED_SHARE
        : 0;
  // At least one window is of text: the others begin like it.
  const sampled = Math.min(samples - 1, Math.floor(samples * share));
  const wanted = samples - sampled;
  const stop = signal === undefined ? {} : { signal };
  onProgress('tokenize', 0, 1);
  const tokenizer = await Tokenizer.open(directory, signal);
  let drawn: Calibration;
  try {
    const request = { files, samples: wanted, window, heldOut, seed, ...stop };
    drawn = await drawCalibration(tokenizer, config.vocabSize, request);
  } finally {
    await tokenizer.dispose();
  }
  onProgress('tokenize', 1, 1);
  const warnings: string[] = [];
  if (drawn.available < wanted) {
    warnings.push(
      `the calibration text has ${drawn.available} windows of ${window} tokens, ` +
        `fewer than the ${wanted} asked for; all are used`,
    );
  }
  if (drawn.heldOut.length === 0) {
    warnings.push('too few calibration windows to hold any out; nothing is cross-checked');
  }
  if (sampled === 0) return { calibration: drawn, warnings };
  const calibration = await addSampledWindows(drawn, sampled, {
    checkpoint,
    frequencies,
    seed,
    ...stop,
    onTokens: (drawn, total) => onProgress('sample', drawn, total),
  });
  return { calibration, warnings };
}
