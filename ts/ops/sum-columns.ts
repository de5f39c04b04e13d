import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Sum over the columns: one value for each row, accumulated in f64.
 *
 * @param x f32 or f64 `[..., C]`, seen as a matrix of C columns
 * @returns f64 `[rows]`
 * @throws EspalierError `DTYPE`, `SHAPE`
 */
export function sumColumns(x: Tensor): Tensor {
  const output = new Tensor(native().sumColumns(x.handle));
  const { shape, size, device } = x;
  record({
    op: 'sumColumns',
    inputs: [x],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => {
      const ones = Tensor.from(new Float32Array(size).fill(1), shape, { device });
      return [new Tensor(native().scale(ones.handle, (gradient as Tensor).handle, false))];
    },
  });
  return output;
}
