import { native } from '../native/addon.js';
import type { DType } from '../native/types.js';
import { Tensor } from '../tensor/tensor.js';
import { type Indices, withOptionalIndices } from './indices.js';

/** Options of `dispatchGradient`. */
export interface DispatchGradientOptions {
  /** The permutation that `mergeFeatures` was given. Default: in order. */
  permutation?: Indices;
  /** A factor for each segment, such as m / d_i for a worker's own mean loss. Default 1. */
  factors?: readonly number[];
  /** Element type of the results: f32, bf16 or f16. Default `f32`. */
  dtype?: DType;
}

/**
 * Cuts the gradient of merged features into those of the sources, scaled and cast on the way: the
 * reverse of `mergeFeatures`.
 *
 * @param gradient f32, bf16 or f16 `[Σ sizes, ...]`
 * @param sizes rows of each source
 * @returns `[sizes[i], ...]` for each source
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`; a permutation tensor that
 * repeats a row fails the read with `SHAPE`
 */
export function dispatchGradient(
  gradient: Tensor,
  sizes: readonly number[],
  { permutation, factors = sizes.map(() => 1), dtype = 'f32' }: DispatchGradientOptions = {},
): Tensor[] {
  const limit = gradient.shape[0] ?? 0;
  const rule = { op: 'dispatchGradient', name: 'permutation', limit };
  return withOptionalIndices(permutation, rule, gradient.device, (order) => {
    const parts = sizes.flatMap((size, i) => [size, factors[i]]);
    return native()
      .dispatchGradient(gradient.handle, dtype, order?.handle, ...parts)
      .map((handle) => new Tensor(handle));
  });
}
