import { native } from '../native/addon.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import type { CrossEntropyOptions } from './cross-entropy.js';
import { scaleInPlace } from './scale-in-place.js';

/**
 * Mean of {@link crossEntropy} over the targets that count, 0 without any: the training loss of a
 * language model. When a gradient is wanted, the same pass over the logits computes it, so that each
 * logit is formed once and at most one chunk of them is in memory: by default 64 MiB, 256 on a GPU.
 *
 * @param hidden f32 `[N, D]`
 * @param w f32, bf16 or f16 `[V, D]`
 * @param targets i32 or i64 `[N]`
 * @returns an f32 scalar
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`; a target outside `[0, V)`
 * fails the read with `SHAPE`
 */
export function crossEntropyMean(
  hidden: Tensor,
  w: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { bias, chunk = 0, ignoreIndex = -100, products = 'f32' } = options;
  const [loss, ...handles] = native().crossEntropyMean(
    hidden.handle,
    w.handle,
    targets.handle,
    bias?.handle,
    chunk,
    ignoreIndex,
    isTracked(hidden),
    isTracked(w),
    isTracked(bias),
    products,
  );
  const output = new Tensor(loss);
  const made = handles.map((handle) => handle && new Tensor(handle));
  const saved = made.filter((tensor) => tensor !== undefined);
  record({
    op: 'crossEntropyMean',
    inputs: [hidden, w, bias],
    outputs: [output],
    saved,
    backward: ([gradient], kept) => {
      scaleInPlace(kept, gradient as Tensor);
      let next = 0;
      return made.map((tensor) => (tensor === undefined ? undefined : kept[next++]));
    },
  });
  for (const tensor of saved) tensor.dispose();
  return output;
}
