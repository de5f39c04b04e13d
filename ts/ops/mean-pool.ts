import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Mean of each sequence's hidden states over the tokens under a mask; zeros where there is none.
 *
 * @param x f32 `[B, T, D]`
 * @param mask u8 `[B, T]`, 0 for what is left out
 * @returns f32 `[B, D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function meanPool(x: Tensor, mask: Tensor): Tensor {
  const output = new Tensor(native().meanPool(x.handle, mask.handle));
  record({
    op: 'meanPool',
    inputs: [x],
    outputs: [output],
    saved: [mask],
    backward: ([gradient], [kept]) => [meanPoolBackward(gradient as Tensor, kept as Tensor)],
  });
  return output;
}

/**
 * The gradient of {@link meanPool} for `x` from that of its output.
 *
 * @param gradient f32 `[B, D]`
 * @param mask u8 `[B, T]`
 * @returns f32 `[B, T, D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function meanPoolBackward(gradient: Tensor, mask: Tensor): Tensor {
  return new Tensor(native().meanPoolBackward(gradient.handle, mask.handle));
}
