import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * The status of an optimiser step: an u8 scalar that fails like the first of `tensors` that failed. A
 * step that carries it changes its tensors only when all of these are usable, and reports there if it
 * fails itself; `read()` tells.
 *
 * @param tensors at least one
 * @throws EspalierError `CONFIG`, `DEVICE_MISMATCH`
 */
export function stepStatus(tensors: readonly Tensor[]): Tensor {
  return new Tensor(native().stepStatus(tensors.map(({ handle }) => handle)));
}
