import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Sum `x + y`, element by element.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function add(x: Tensor, y: Tensor): Tensor {
  const output = new Tensor(native().add(x.handle, y.handle));
  record({
    op: 'add',
    inputs: [x, y],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => [gradient, gradient],
  });
  return output;
}
