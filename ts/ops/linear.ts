import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Dense layer: `y = x Wᵀ + b`, accumulated in f32. Weights in 16 bits give the same bits as casting
 * them to f32 first.
 *
 * @param x f32 `[..., K]`
 * @param w f32, bf16 or f16 `[N, K]`
 * @param bias f32, bf16 or f16 `[N]`
 * @returns f32 `[..., N]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function linear(x: Tensor, w: Tensor, bias?: Tensor): Tensor {
  return new Tensor(native().linear(x.handle, w.handle, bias?.handle));
}
