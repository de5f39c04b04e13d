import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { normBackward } from './norm-backward.js';

/**
 * Root-mean-square normalisation over the last dimension: `x / sqrt(mean(x²) + eps) ∘ weight`.
 *
 * @param x f32 `[..., D]`
 * @param weight f32, bf16 or f16 `[D]`
 * @param eps added to the mean square
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const output = new Tensor(native().rmsNorm(x.handle, weight.handle, eps, undefined)[0]);
  record({
    op: 'rmsNorm',
    inputs: [x, weight],
    outputs: [output],
    saved: [x, weight],
    backward: ([gradient], saved, [, wantWeight]) => {
      const [input, factors] = saved as [Tensor, Tensor];
      const result = normBackward(gradient as Tensor, input, factors, { eps, wantWeight });
      return [result.x, result.weight];
    },
  });
  return output;
}

/**
 * Adds `residual` to `x` and normalises the sum in one pass. Gradients of the sum and of its
 * normalisation meet in one pass too.
 *
 * @returns `sum` = x + residual and `output` = its RMS normalisation
 */
export function addRmsNorm(
  x: Tensor,
  residual: Tensor,
  weight: Tensor,
  eps: number,
): { output: Tensor; sum: Tensor } {
  const [first, second] = native().rmsNorm(x.handle, weight.handle, eps, residual.handle);
  if (second === undefined) throw new Error('unreachable: a residual was given');
  const output = new Tensor(first);
  const sum = new Tensor(second);
  record({
    op: 'addRmsNorm',
    inputs: [x, residual, weight],
    outputs: [output, sum],
    saved: [sum, weight],
    backward: ([gradient, upstream], saved, [, , wantWeight]) => {
      if (gradient === undefined) return [upstream, upstream, undefined];
      const [input, factors] = saved as [Tensor, Tensor];
      const result = normBackward(gradient, input, factors, { eps, upstream, wantWeight });
      return [result.x, result.x, result.weight];
    },
  });
  return { output, sum };
}
