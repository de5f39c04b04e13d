import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Inverted dropout: every element is set to 0 with `probability`, the others are divided by
 * `1 − probability`. The mask depends on `seed` and the element's position alone (Philox4x32-10), so
 * it is never stored: the gradient makes it again.
 *
 * @param x f32
 * @param probability in [0, 1)
 * @param seed a whole number within ±2⁵³
 * @throws EspalierError `DTYPE`, `CONFIG`
 */
export function dropout(x: Tensor, probability: number, seed: number): Tensor {
  const output = new Tensor(native().dropout(x.handle, probability, seed));
  record({
    op: 'dropout',
    inputs: [x],
    outputs: [output],
    saved: [],
    backward: ([gradient]) => [dropout(gradient as Tensor, probability, seed)],
  });
  return output;
}
