import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Matrix transpose.
 *
 * @param x any dtype `[R, C]`
 * @returns same dtype `[C, R]`
 * @throws EspalierError `SHAPE`
 */
export function transpose(x: Tensor): Tensor {
  const output = new Tensor(native().transpose(x.handle));
  record({
    op: 'transpose',
    inputs: [x],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => [transpose(gradient as Tensor)],
  });
  return output;
}
