import { record } from '../tensor/recorder.js';
import { currentScope, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { noGrad, withGrad } from './no-grad.js';
import { type GradientHolder, trainable } from './trainable.js';

/**
 * Applies `body` without keeping what it computes, and applies it again when gradients walk back
 * through it: the memory of one block instead of all, for one more forward pass (gradient
 * checkpointing, Chen et al. 2016).
 *
 * @param body a pure function: the same inputs give the same output
 * @param inputs what it reads and gradients may flow to
 * @param uses the other tensors inside that gradients may flow to, such as the values of parameters
 */
export function recompute(
  body: (inputs: readonly Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  uses: Iterable<Tensor>,
): Tensor {
  const output = scope(() => noGrad(() => body(inputs)));
  record({
    op: 'recompute',
    inputs: [...inputs, ...uses],
    outputs: [output],
    saved: inputs,
    backward: ([gradient], saved, wanted) => {
      const holders = saved.map((): GradientHolder => ({ grad: undefined }));
      for (const [i, tensor] of saved.entries()) {
        if (wanted[i]) trainable.set(tensor, holders[i] as GradientHolder);
      }
      scope(() => withGrad(() => body(saved)).backward(gradient));
      return holders.map(({ grad }) => {
        if (grad !== undefined) currentScope()?.add(grad);
        return grad;
      });
    },
  });
  return output;
}
