import { native } from '../native/addon.js';
import type { DType } from '../native/types.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * A copy in another dtype: to nearest even into floats; towards zero and saturated into integers, NaN
 * to 0. Every pair of dtypes is rounded once. Gradients pass between floats, and are f32 themselves.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  const output = new Tensor(native().cast(x.handle, dtype));
  if (dtype.startsWith('i') || dtype.startsWith('u')) return output;
  record({
    op: 'cast',
    inputs: [x],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => [gradient],
  });
  return output;
}
