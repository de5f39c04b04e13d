import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { normBackward } from './norm-backward.js';

/**
 * Layer normalisation over the last dimension: `(x − mean(x)) / sqrt(var(x) + eps) ∘ weight + bias`,
 * with the mean squared deviation as `var`.
 *
 * @param x f32 `[..., D]`
 * @param weight f32, bf16 or f16 `[D]`
 * @param bias f32, bf16 or f16 `[D]`; undefined: none
 * @param eps added to the variance
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function layerNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  eps: number,
): Tensor {
  const output = new Tensor(native().layerNorm(x.handle, weight.handle, bias?.handle, eps));
  record({
    op: 'layerNorm',
    inputs: [x, weight, bias],
    outputs: [output],
    saved: [x, weight],
    backward: ([gradient], saved, [, wantWeight, wantBias]) => {
      const [input, factors] = saved as [Tensor, Tensor];
      const options = { eps, centred: true, wantWeight, wantBias };
      const result = normBackward(gradient as Tensor, input, factors, options);
      return [result.x, result.weight, result.bias];
    },
  });
  return output;
}
