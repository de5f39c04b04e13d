import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Sum over the rows: one value for each column, accumulated in f64.
 *
 * @param x f32 or f64 `[..., C]`, seen as a matrix of C columns
 * @returns f64 `[C]`
 * @throws EspalierError `DTYPE`, `SHAPE`
 */
export function sumRows(x: Tensor): Tensor {
  const output = new Tensor(native().sumRows(x.handle));
  const { shape, size, device } = x;
  record({
    op: 'sumRows',
    inputs: [x],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => {
      const ones = Tensor.from(new Float32Array(size).fill(1), shape, { device });
      return [new Tensor(native().scale(ones.handle, (gradient as Tensor).handle, true))];
    },
  });
  return output;
}
