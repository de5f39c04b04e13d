import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Gated activation of the LLaMA family: `silu(gate) ∘ up`, with `silu(g) = g / (1 + e^−g)`.
 *
 * @param gate f32
 * @param up f32 of the same shape
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  return new Tensor(native().swiglu(gate.handle, up.handle));
}
