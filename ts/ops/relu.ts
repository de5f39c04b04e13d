import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Rectifier `max(x, 0)`, element by element; its gradient at 0 is 0.
 *
 * @param x f32
 * @throws EspalierError `DTYPE`
 */
export function relu(x: Tensor): Tensor {
  const output = new Tensor(native().activation(x.handle, 'relu'));
  record({
    op: 'relu',
    inputs: [x],
    outputs: [output],
    saved: [x],
    backward: ([gradient], [input]) => [
      new Tensor(
        native().activationBackward((gradient as Tensor).handle, (input as Tensor).handle, 'relu'),
      ),
    ],
  });
  return output;
}
