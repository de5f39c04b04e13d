import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link rope}. */
export interface RopeOptions {
  /** Position of the first time step; default 0. */
  offset?: number;
  /** Factor on cosine and sine; default 1. */
  scale?: number;
}

/**
 * Rotary position embedding in the half-rotation layout: with `a = (offset + t) fᵢ`, the pair
 * `(xᵢ, xᵢ₊ₕ)` becomes `scale (xᵢ cos a − xᵢ₊ₕ sin a, xᵢ₊ₕ cos a + xᵢ sin a)`, h = D/2.
 *
 * @param x f32 `[B, T, H, D]`, D even
 * @param inverseFrequencies f32 `[D/2]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function rope(x: Tensor, inverseFrequencies: Tensor, options: RopeOptions = {}): Tensor {
  const { offset = 0, scale = 1 } = options;
  return new Tensor(native().rope(x.handle, inverseFrequencies.handle, offset, scale));
}
