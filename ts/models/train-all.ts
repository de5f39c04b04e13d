import { EspalierError } from '../common/errors.js';
import { Parameter } from '../nn/parameter.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Makes parameters of tensors that are held as f32.
 * @throws EspalierError `CONFIG` naming the first that is not
 */
export function trainAll(named: ReadonlyMap<string, Tensor>): Map<string, Parameter> {
  const parameters = new Map<string, Parameter>();
  for (const [name, tensor] of named) {
    if (tensor.dtype !== 'f32') {
      throw new EspalierError('CONFIG', `${name} is held as ${tensor.dtype} and can't be trained`, {
        remedy: "load the model with dtype 'f32' and trainable weights",
      });
    }
    parameters.set(name, new Parameter(tensor));
  }
  return parameters;
}
