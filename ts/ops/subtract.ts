import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

function negative(x: Tensor): Tensor {
  return subtract(Tensor.zeros(x.shape, x.dtype, x.device), x);
}

/**
 * Difference `x - y`, element by element.
 *
 * @param x f32 or f64
 * @param y same dtype and shape as `x`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function subtract(x: Tensor, y: Tensor): Tensor {
  const output = new Tensor(native().subtract(x.handle, y.handle));
  record({
    op: 'subtract',
    inputs: [x, y],
    outputs: [output],
    saved: [],
    backward: ([gradient], _, [, wantY]) => [
      gradient,
      wantY ? negative(gradient as Tensor) : undefined,
    ],
  });
  return output;
}
