import { native, type Products } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** f32, bf16 or f16 `[V]`. */
  bias?: Tensor;
  /** Rows of logits held at once. Default: as many as fit 16 MiB, or up to 512 that fit 64 MiB. */
  chunk?: number;
  /** Target of positions that do not count. Default -100. */
  ignoreIndex?: number;
  /** How factors of the logits are multiplied. Default `f32`: exactly as stored. */
  products?: Products;
}

/**
 * Cross-entropy of a classifier's logits `hidden Wᵀ + b` against `targets`, in nats per position,
 * without holding more than one chunk of logits.
 *
 * @param hidden f32 `[N, D]`
 * @param w f32, bf16 or f16 `[V, D]`
 * @param targets i32 or i64 `[N]`
 * @returns f32 `[N]`, 0 where the target is `ignoreIndex`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`; a target outside `[0, V)`
 * fails the read with `SHAPE`
 */
export function crossEntropy(
  hidden: Tensor,
  w: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { bias, chunk = 0, ignoreIndex = -100, products = 'f32' } = options;
  return new Tensor(
    native().crossEntropy(
      hidden.handle,
      w.handle,
      targets.handle,
      bias?.handle,
      chunk,
      ignoreIndex,
      products,
    ),
  );
}
