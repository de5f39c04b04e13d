import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { embeddingBackward } from './embedding.js';
import { type Indices, withIndices } from './indices.js';

/**
 * Takes positions along the first dimension, in any order, repeats allowed.
 *
 * @param x any dtype, at least one dimension
 * @param indices i32 tensor `[M]`, or numbers
 * @returns like `x`, with `M` as its first dimension
 * @throws EspalierError `SHAPE` for an index out of range (at once for numbers, when the result is
 * read for a tensor), `DTYPE`
 */
export function gatherRows(x: Tensor, indices: Indices): Tensor {
  const rule = { op: 'gatherRows', name: 'indices', limit: x.shape[0] ?? 0 };
  return withIndices(indices, rule, x.device, (tensor) => {
    const output = new Tensor(native().gatherRows(x.handle, tensor.handle));
    const { shape } = x;
    const [rows = 0, ...rest] = shape;
    const width = rest.reduce((product, size) => product * size, 1);
    record({
      op: 'gatherRows',
      inputs: [x],
      outputs: [output],
      saved: [tensor],
      backward: ([gradient], [taken]) => {
        const flat = (gradient as Tensor).reshape([(taken as Tensor).size, width]);
        return [embeddingBackward(flat, taken as Tensor, rows).reshape(shape)];
      },
    });
    return output;
  });
}
