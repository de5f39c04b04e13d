import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * One token's hidden state of each sequence: the first for an encoder, the last that is not padding
 * for a decoder.
 *
 * @param x f32 `[B, T, D]`
 * @param index i32 or i64 `[B]`: the token's position in each sequence
 * @returns f32 `[B, D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`; a position outside `[0, T)` fails the
 * read with `SHAPE`
 */
export function selectToken(x: Tensor, index: Tensor): Tensor {
  const output = new Tensor(native().selectToken(x.handle, index.handle));
  const tokens = x.shape[1] as number;
  record({
    op: 'selectToken',
    inputs: [x],
    outputs: [output],
    saved: [index],
    backward: ([gradient], [kept]) => [
      selectTokenBackward(gradient as Tensor, kept as Tensor, tokens),
    ],
  });
  return output;
}

/**
 * The gradient of {@link selectToken} for `x` from that of its output; zeros at the other tokens.
 *
 * @param gradient f32 `[B, D]`
 * @param index i32 or i64 `[B]`
 * @param tokens T
 * @returns f32 `[B, T, D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function selectTokenBackward(gradient: Tensor, index: Tensor, tokens: number): Tensor {
  return new Tensor(native().selectTokenBackward(gradient.handle, index.handle, tokens));
}
