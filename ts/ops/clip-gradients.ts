import { native } from '../native/addon.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Multiplies many tensors by `min(1, maxNorm / (norm + 1e-6))` in place, as
 * `torch.nn.utils.clip_grad_norm_` does; a NaN norm makes them NaN. Nothing is read back.
 *
 * @param tensors f32, at least one
 * @param norm f64 scalar, as {@link globalNorm} computes it
 * @param maxNorm the norm that they have at most afterwards
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function clipGradients(tensors: readonly Tensor[], norm: Tensor, maxNorm: number): void {
  native().clipGradients(
    tensors.map((tensor) => tensor.handle),
    norm.handle,
    maxNorm,
  );
}
