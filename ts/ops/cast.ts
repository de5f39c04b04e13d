import { native } from '../native/addon.js';
import type { DType } from '../native/types.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * A copy in another dtype: to nearest even into floats; towards zero and saturated into integers, NaN
 * to 0. Every pair of dtypes is rounded once.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  return new Tensor(native().cast(x.handle, dtype));
}
