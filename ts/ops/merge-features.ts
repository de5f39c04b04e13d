import { native } from '../native/addon.js';
import type { DType, TypedArray } from '../native/types.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { dispatchGradient } from './dispatch-gradient.js';
import { type Indices, withOptionalIndices } from './indices.js';

/** Features in host memory, as they arrive from a wire. */
export interface HostFeatures {
  /** Elements in row-major order; bf16 and f16 as bits in a Uint16Array. */
  data: TypedArray;
  /** `[n, ...]` */
  shape: readonly number[];
  /** Default: what the array holds. */
  dtype?: DType;
}

/** Options of `mergeFeatures`. */
export interface MergeFeaturesOptions {
  /** Row k of the result is row `permutation[k]` of the sources put one after another. Default: in order. */
  permutation?: Indices;
  /** Element type of the result: f32, bf16 or f16. Default `f32`. */
  dtype?: DType;
  /** A factor for each source. Default 1. */
  scales?: readonly number[];
}

/**
 * Gathers the features of many sources into one mixed batch, cast and scaled on the way.
 *
 * @param sources f32, bf16 or f16 `[n_i, ...]` with equal trailing dimensions
 * @returns `[Σ n_i, ...]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`; a permutation tensor that
 * repeats a row fails the read with `SHAPE`
 */
export function mergeFeatures(
  sources: readonly (Tensor | HostFeatures)[],
  { permutation, dtype = 'f32', scales = sources.map(() => 1) }: MergeFeaturesOptions = {},
): Tensor {
  const { device = 'cpu' } = sources.find((source) => source instanceof Tensor) ?? {};
  const tensors = sources.map((source) => {
    if (source instanceof Tensor) return source;
    const { data, shape, dtype: stored } = source;
    return Tensor.from(data, shape, { device, ...(stored === undefined ? {} : { dtype: stored }) });
  });
  const sizes = tensors.map(({ shape }) => shape[0] ?? 0);
  const limit = sizes.reduce((sum, size) => sum + size, 0);
  try {
    const rule = { op: 'mergeFeatures', name: 'permutation', limit };
    return withOptionalIndices(permutation, rule, tensors[0]?.device ?? 'cpu', (order) => {
      const parts = tensors.flatMap(({ handle }, i) => [handle, scales[i]]);
      const output = new Tensor(native().mergeFeatures(dtype, order?.handle, ...parts));
      record({
        op: 'mergeFeatures',
        inputs: tensors,
        outputs: [output],
        saved: order === undefined ? [] : [order],
        backward: ([gradient], [kept]) =>
          dispatchGradient(gradient as Tensor, sizes, {
            factors: scales,
            ...(kept === undefined ? {} : { permutation: kept }),
          }),
      });
      return output;
    });
  } finally {
    tensors.forEach((tensor, i) => {
      if (tensor !== sources[i]) tensor.dispose();
    });
  }
}
