import { EspalierError } from '../common/errors.js';
import { Checkpoint } from './checkpoint.js';
import { Decoder } from './decoder.js';
import { loadLayer, type WeightDType } from './layer-weights.js';
import { loadOuter } from './outer-weights.js';
import { resolveDevice } from '../native/resolve-device.js';

/** Options of {@link loadModel}. */
export interface LoadModelOptions {
  /** Where it computes; `auto`, the default, is the CPU. */
  device?: string;
  /** `auto`, the default, keeps the stored dtype of the weights; `f32` converts them once;
   * `bf16` holds them in bf16 and multiplies bf16, which is faster and a little less exact. */
  dtype?: WeightDType;
  /** Hold every weight as an f32 copy that can be trained (`trainAll()`); default false. */
  trainable?: boolean;
}

/**
 * Loads a language model from a Hugging Face directory. Weights are mapped, not copied, unless they
 * are converted. Call `dispose()` when done.
 * @throws EspalierError `FORMAT`, `UNSUPPORTED` or `CONFIG` as `Checkpoint.open`,
 * `DEVICE_UNAVAILABLE` for a device that is not there.
 */
export async function loadModel(
  directory: string,
  { device = 'auto', dtype = 'auto', trainable = false }: LoadModelOptions = {},
): Promise<Decoder> {
  resolveDevice(device);
  if (!['auto', 'f32', 'bf16'].includes(dtype)) {
    throw new EspalierError('CONFIG', `dtype must be auto, f32 or bf16, got ${dtype}`);
  }
  const held = trainable ? 'parameter' : dtype;
  const checkpoint = await Checkpoint.open(directory);
  try {
    const outer = loadOuter(checkpoint, held);
    const layers = checkpoint.config.layers.map((_, i) => loadLayer(checkpoint, i, held));
    return new Decoder(checkpoint.config, outer, layers);
  } finally {
    checkpoint.close();
  }
}
