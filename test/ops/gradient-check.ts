import { Parameter } from '../../ts/nn/parameter.js';
import { scope } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert } from '../harness.js';

/** Some f32 values around 0, the same for the same seed. */
export function values(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return Tensor.from(
    Float32Array.from({ length: size }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed)),
    shape,
  );
}

async function weighted(output: Tensor, weights: readonly number[]): Promise<number> {
  const read = (await output.read()) as Float32Array;
  return read.reduce((sum, value, i) => sum + value * (weights[i] as number), 0);
}

/**
 * Compares the gradients that a walk back gives for every input of `f` with central differences of a
 * weighted sum of its output. The op computes in f32, hence the tolerance: this is about the wiring
 * of rules, whose numbers the native tests check in double precision.
 */
export async function checkGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
): Promise<void> {
  const parameters = inputs.map((input) => new Parameter(input));
  const output = f(...inputs);
  const weights = Array.from({ length: output.size }, (_, i) => 1 + Math.cos(3 * i));
  scope(() => output.backward(Tensor.from(weights).reshape(output.shape)));
  for (const [at, parameter] of parameters.entries()) {
    const gradient = (await parameter.grad?.read()) as Float32Array;
    assert.ok(gradient !== undefined, `input ${at} has a gradient`);
    assert.equal(parameter.grad?.shape, parameter.value.shape);
    parameter.requiresGrad = false;
    const original = (await parameter.value.read()) as Float32Array;
    const step = 1e-2;
    for (let i = 0; i < original.length; i++) {
      const sums: number[] = [];
      for (const offset of [step, -step]) {
        const moved = original.slice();
        moved[i] = (moved[i] as number) + offset;
        const changed = inputs.map((input, j) =>
          j === at ? Tensor.from(moved, input.shape) : input,
        );
        sums.push(await weighted(f(...changed), weights));
      }
      const difference = ((sums[0] as number) - (sums[1] as number)) / (2 * step);
      const error = Math.abs(difference - (gradient[i] as number));
      assert.ok(error < 2e-3 * (1 + Math.abs(difference)), `input ${at}, element ${i}: ${error}`);
    }
    parameter.requiresGrad = true;
  }
}
