import { native } from '../native/addon.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { scaleInPlace } from './scale-in-place.js';

/** What {@link softmaxCrossEntropy} can be told. */
export interface SoftmaxCrossEntropyOptions {
  /** Label of rows that do not count. Default -100. */
  ignoreIndex?: number;
}

/**
 * Mean cross-entropy of given logits, in nats, over the labels that count; 0 without any. The loss of
 * a classifier.
 *
 * @param logits f32 `[N, C]`
 * @param labels i32 or i64 `[N]`
 * @returns an f32 scalar
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`; a label outside `[0, C)` fails the read
 * with `SHAPE`
 */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  options: SoftmaxCrossEntropyOptions = {},
): Tensor {
  const { ignoreIndex = -100 } = options;
  const [loss, handle] = native().softmaxCrossEntropy(
    logits.handle,
    labels.handle,
    ignoreIndex,
    isTracked(logits),
  );
  const output = new Tensor(loss);
  if (handle === undefined) return output;
  const made = new Tensor(handle);
  record({
    op: 'softmaxCrossEntropy',
    inputs: [logits],
    outputs: [output],
    saved: [made],
    backward: ([gradient], kept) => {
      scaleInPlace(kept, gradient as Tensor);
      return kept;
    },
  });
  made.dispose();
  return output;
}
