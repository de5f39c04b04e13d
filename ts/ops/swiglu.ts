import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Gated activation of the LLaMA family: `silu(gate) ∘ up`, with `silu(g) = g / (1 + e^−g)`.
 *
 * @param gate f32
 * @param up f32 of the same shape
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  const output = new Tensor(native().swiglu(gate.handle, up.handle));
  record({
    op: 'swiglu',
    inputs: [gate, up],
    outputs: [output],
    saved: [gate, up],
    backward: ([gradient], [g, u]) => {
      const { handle } = gradient as Tensor;
      const pair = native().swigluBackward(handle, (g as Tensor).handle, (u as Tensor).handle);
      return pair.map((result) => new Tensor(result));
    },
  });
  return output;
}
