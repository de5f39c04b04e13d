import { type Activation, native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** `none`, the default: x Φ(x); `tanh`: the approximation of GPT-2 (`gelu_new`). */
  approximate?: 'none' | 'tanh';
}

/**
 * Gaussian error linear unit `x Φ(x)` (Hendrycks & Gimpel 2016), element by element.
 *
 * @param x f32
 * @throws EspalierError `DTYPE`
 */
export function gelu(x: Tensor, { approximate = 'none' }: GeluOptions = {}): Tensor {
  const kind: Activation = approximate === 'tanh' ? 'gelu_tanh' : 'gelu';
  const output = new Tensor(native().activation(x.handle, kind));
  record({
    op: 'gelu',
    inputs: [x],
    outputs: [output],
    saved: [x],
    backward: ([gradient], [input]) => [
      new Tensor(
        native().activationBackward((gradient as Tensor).handle, (input as Tensor).handle, kind),
      ),
    ],
  });
  return output;
}
