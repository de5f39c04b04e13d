import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
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
 * A gradient flows to `x`, not to the frequencies.
 *
 * @param x f32 `[B, T, H, D]`, D even
 * @param inverseFrequencies f32 `[D/2]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function rope(x: Tensor, inverseFrequencies: Tensor, options: RopeOptions = {}): Tensor {
  const { offset = 0, scale = 1 } = options;
  const rotate = (input: Tensor, frequencies: Tensor, inverse: boolean) =>
    new Tensor(native().rope(input.handle, frequencies.handle, offset, scale, inverse));
  const output = rotate(x, inverseFrequencies, false);
  record({
    op: 'rope',
    inputs: [x],
    outputs: [output],
    saved: [inverseFrequencies],
    backward: ([gradient], [frequencies]) => [
      rotate(gradient as Tensor, frequencies as Tensor, true),
    ],
  });
  return output;
}
