import { native, type Products } from '../native/addon.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { cast } from './cast.js';
import { sumRows } from './sum-rows.js';

/** Options of `linear`. */
export interface LinearOptions {
  /** How factors are multiplied, forward and backward. Default `f32`: exactly as stored. */
  products?: Products;
}

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
export function linear(
  x: Tensor,
  w: Tensor,
  bias?: Tensor,
  { products = 'f32' }: LinearOptions = {},
): Tensor {
  const output = new Tensor(native().linear(x.handle, w.handle, bias?.handle, products));
  record({
    op: 'linear',
    inputs: [x, w, bias],
    outputs: [output],
    saved: isTracked(w) ? [w, x] : [w],
    backward: ([gradient], [weight, input], [wantsInput, wantsWeight, wantsBias]) => {
      const dy = gradient as Tensor;
      return [
        wantsInput ? linearInputGradient(dy, weight as Tensor, products) : undefined,
        wantsWeight ? linearWeightGradient(dy, input as Tensor, products) : undefined,
        wantsBias ? linearBiasGradient(dy) : undefined,
      ];
    },
  });
  return output;
}

/**
 * Gradient of a dense layer's input, `dx = dy W`.
 *
 * @param gradient dy, f32 `[..., N]`
 * @param w f32, bf16 or f16 `[N, K]`
 * @returns f32 `[..., K]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function linearInputGradient(
  gradient: Tensor,
  w: Tensor,
  products: Products = 'f32',
): Tensor {
  return new Tensor(native().linearInputGradient(gradient.handle, w.handle, products));
}

/**
 * Gradient of a dense layer's weight, `dW = dyᵀ x`.
 *
 * @param gradient dy, f32 `[..., N]`
 * @param x f32 `[..., K]`
 * @returns f32 `[N, K]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function linearWeightGradient(
  gradient: Tensor,
  x: Tensor,
  products: Products = 'f32',
): Tensor {
  return new Tensor(native().linearWeightGradient(gradient.handle, x.handle, products));
}

/** Gradient of a dense layer's bias: dy f32 `[..., N]` summed over its rows, f32 `[N]`. */
export function linearBiasGradient(gradient: Tensor): Tensor {
  const columns = gradient.shape.at(-1) ?? 1;
  const rows = gradient.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return cast(sumRows(gradient.reshape([rows, columns])), 'f32');
}
