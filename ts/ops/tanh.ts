import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Hyperbolic tangent, element by element.
 *
 * @param x f32
 * @throws EspalierError `DTYPE`
 */
export function tanh(x: Tensor): Tensor {
  const output = new Tensor(native().activation(x.handle, 'tanh'));
  record({
    op: 'tanh',
    inputs: [x],
    outputs: [output],
    saved: [output],
    backward: ([gradient], [result]) => [
      new Tensor(
        native().activationBackward((gradient as Tensor).handle, (result as Tensor).handle, 'tanh'),
      ),
    ],
  });
  return output;
}
