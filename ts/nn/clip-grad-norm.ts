import { clipGradients } from '../ops/clip-gradients.js';
import { globalNorm } from '../ops/global-norm.js';
import { Tensor } from '../tensor/tensor.js';
import type { NamedParameter } from './parameter-groups.js';

/**
 * Scales the gradients of many parameters down to a common norm in place, as
 * `torch.nn.utils.clip_grad_norm_`. Nothing is read back; a norm that is not finite spreads into the
 * gradients, so give it to the optimiser's `step()`, which then changes nothing.
 *
 * @param parameters those without a gradient are left out
 * @param max the norm that the gradients have at most afterwards; Infinity only measures
 * @returns the norm before, an f64 scalar; 0 when no parameter has a gradient
 * @throws EspalierError `CONFIG` for a maximum that is negative or NaN
 */
export function clipGradNorm(parameters: Iterable<NamedParameter>, max: number): Tensor {
  const gradients: Tensor[] = [];
  for (const item of parameters) {
    const { grad } = 'grad' in item ? item : item[1];
    if (grad !== undefined) gradients.push(grad);
  }
  if (gradients.length === 0) return Tensor.zeros([], 'f64');
  const norm = globalNorm(gradients);
  if (max !== Number.POSITIVE_INFINITY) clipGradients(gradients, norm, max);
  return norm;
}
