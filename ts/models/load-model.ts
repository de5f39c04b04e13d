import { EspalierError } from '../common/errors.js';
import { Checkpoint } from './checkpoint.js';
import type { Classifier } from './classifier.js';
import { Decoder } from './decoder.js';
import { type LoadClassifierOptions, loadClassifier } from './load-classifier.js';
import { withAdapter } from './with-adapter.js';
import { loadLayer, type WeightDType } from './layer-weights.js';
import { loadOuter } from './outer-weights.js';
import { resolveDevice } from '../native/resolve-device.js';

/** Options of {@link loadModel}. */
export interface LoadModelOptions {
  /** Where it computes; `auto`, the default, is the GPU where one can be used. */
  device?: string;
  /** `auto`, the default, keeps the stored dtype of the weights; `f32` converts them once;
   * `bf16` holds them in bf16 and multiplies bf16, which is faster and a little less exact. */
  dtype?: WeightDType;
  /** Hold every weight as an f32 copy that can be trained (`trainAll()`); default false. */
  trainable?: boolean;
  /** A PEFT directory whose adapter is put in force; `dispose()` frees it. Default none. */
  adapter?: string;
}

/**
 * Loads a language model from a Hugging Face directory, or with `numLabels` a classifier on top of it
 * (see `loadClassifier`). Weights are mapped, not copied, unless they are converted. Call `dispose()`
 * when done.
 * @throws EspalierError `FORMAT`, `UNSUPPORTED` or `CONFIG` as `Checkpoint.open`,
 * `DEVICE_UNAVAILABLE` for a device that is not there.
 */
export function loadModel(
  directory: string,
  options: LoadClassifierOptions & { numLabels: number },
): Promise<Classifier>;
export function loadModel(directory: string, options?: LoadModelOptions): Promise<Decoder>;
export async function loadModel(
  directory: string,
  options: LoadModelOptions | LoadClassifierOptions = {},
): Promise<Decoder | Classifier> {
  if ('numLabels' in options) return loadClassifier(directory, options);
  const { device = 'auto', dtype = 'auto', trainable = false, adapter } = options;
  if (!['auto', 'f32', 'bf16'].includes(dtype)) {
    throw new EspalierError('CONFIG', `dtype must be auto, f32 or bf16, got ${dtype}`);
  }
  const held = trainable ? 'parameter' : dtype;
  const checkpoint = await Checkpoint.open(directory, {
    device: resolveDevice(device).device,
  });
  let model: Decoder;
  try {
    const outer = loadOuter(checkpoint, held);
    const layers = checkpoint.config.layers.map((_, i) => loadLayer(checkpoint, i, held));
    model = new Decoder(checkpoint.config, outer, layers);
  } finally {
    checkpoint.close();
  }
  return withAdapter(model, adapter);
}
