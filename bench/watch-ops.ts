import { installRecorder, type OpRecord } from '../ts/tensor/recorder.js';
import type { Tensor } from '../ts/tensor/tensor.js';

/** Shows `seen` what ops on tracked tensors would keep for a way back, which nothing walks here. */
export function watchOps(
  tracks: (tensor: Tensor) => boolean,
  seen: (op: OpRecord) => void = () => undefined,
): void {
  installRecorder({
    tracks,
    record: seen,
    walkBack: () => {
      throw new Error('unreachable: a suite walks back');
    },
    disposed: () => undefined,
  });
}
