import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Root-mean-square normalisation over the last dimension: `x / sqrt(mean(x²) + eps) ∘ weight`.
 *
 * @param x f32 `[..., D]`
 * @param weight f32, bf16 or f16 `[D]`
 * @param eps added to the mean square
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return new Tensor(native().rmsNorm(x.handle, weight.handle, eps, undefined)[0]);
}

/**
 * Adds `residual` to `x` and normalises the sum in one pass.
 *
 * @returns `sum` = x + residual and `output` = its RMS normalisation
 */
export function addRmsNorm(
  x: Tensor,
  residual: Tensor,
  weight: Tensor,
  eps: number,
): { output: Tensor; sum: Tensor } {
  const [output, sum] = native().rmsNorm(x.handle, weight.handle, eps, residual.handle);
  if (sum === undefined) throw new Error('unreachable: a residual was given');
  return { output: new Tensor(output), sum: new Tensor(sum) };
}
