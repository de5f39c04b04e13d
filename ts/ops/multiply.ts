import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Product `x y`, element by element.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function multiply(x: Tensor, y: Tensor): Tensor {
  const output = new Tensor(native().multiply(x.handle, y.handle));
  record({
    op: 'multiply',
    inputs: [x, y],
    outputs: [output],
    saved: [x, y],
    backward: ([gradient], saved, [wantX, wantY]) => {
      const [left, right] = saved as [Tensor, Tensor];
      return [
        wantX ? multiply(gradient as Tensor, right) : undefined,
        wantY ? multiply(gradient as Tensor, left) : undefined,
      ];
    },
  });
  return output;
}
