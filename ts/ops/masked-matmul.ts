import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import { cast } from './cast.js';
import { type Indices, withOptionalIndices } from './indices.js';
import { recordMaskedMatmul } from './masked-matmul-backward.js';

/** Which weights take part in `maskedMatmul`, and its other options. */
export interface MaskedMatmulOptions {
  /** Kept rows of `w`, strictly increasing. Default: all. */
  rows?: Indices;
  /** Kept columns of `w`, strictly increasing. Default: all. */
  columns?: Indices;
  /** u8 or f32 `[N, K]` of 0 and 1; tiles of zeros cost nothing. Default: all ones. */
  mask?: Tensor;
  /** f32, bf16 or f16 `[N]`; added to kept rows only. */
  bias?: Tensor;
  /** Return the kept rows only, instead of zeros at the others. Default false. */
  compact?: boolean;
}

/** The mask as u8, and whether it was made here. */
function asBytes(mask: Tensor | undefined): [mask: Tensor | undefined, made: boolean] {
  return mask?.dtype === 'f32' ? [cast(mask, 'u8'), true] : [mask, false];
}

/**
 * Product with a masked weight, `y = x (W ∘ M)ᵀ + b`, that does not compute what is masked: listed
 * rows and columns are gathered inside the product, and empty tiles of a dense mask are skipped.
 * Masked weights take no part even when they are NaN or infinite.
 *
 * @param x f32 `[..., K]`, or `[..., columns.length]` when it holds the kept columns already
 * @param w f32, bf16 or f16 `[N, K]`
 * @returns f32 `[..., N]` with exact zeros at rows that are not kept, or `[..., rows.length]` when
 * `compact`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`; index tensors that leave `w` or do not
 * increase fail the read with `SHAPE`
 */
export function maskedMatmul(x: Tensor, w: Tensor, options: MaskedMatmulOptions = {}): Tensor {
  const { rows, columns, bias, compact = false } = options;
  const [height = 0, width = 0] = w.shape;
  const [mask, made] = asBytes(options.mask);
  const rule = (name: string, limit: number) => {
    return { op: 'maskedMatmul', name, limit, increasing: true };
  };
  try {
    return withOptionalIndices(rows, rule('rows', height), x.device, (r) =>
      withOptionalIndices(columns, rule('columns', width), x.device, (c) => {
        const lists = [r?.handle, c?.handle, mask?.handle] as const;
        const output = new Tensor(
          native().maskedMatmul(x.handle, w.handle, bias?.handle, ...lists, compact),
        );
        recordMaskedMatmul(x, w, bias, output, { rows: r, columns: c, mask, compact });
        return output;
      }),
    );
  } finally {
    if (made) mask?.dispose();
  }
}
