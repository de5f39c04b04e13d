import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link normBackward}. */
export interface NormBackwardOptions {
  /** The one of the normalisation. */
  eps: number;
  /** Layer normalisation, which subtracts the mean; default false, RMS normalisation. */
  centred?: boolean;
  /** f32 like x, added to the gradient of x: what else flowed into it. */
  upstream?: Tensor | undefined;
  /** Whether the gradient of the weight is computed; default true. */
  wantWeight?: boolean | undefined;
  /** Whether the gradient of the bias is computed; default false. */
  wantBias?: boolean | undefined;
}

/** What {@link normBackward} returns: gradients, f32. */
export interface NormGradients {
  /** Of what was normalised. */
  x: Tensor;
  /** Of the weight `[D]`, if wanted. */
  weight: Tensor | undefined;
  /** Of the bias `[D]`, if wanted. */
  bias: Tensor | undefined;
}

/**
 * Gradients of RMS or layer normalisation: with the normalised row `n = (x − μ) f` and `g = dy ∘ w`,
 * `dx = f (g − mean(g) − n mean(g n))` (no `mean(g)` when μ = 0), `dw = Σ dy ∘ n`, `db = Σ dy`.
 *
 * @param gradient f32 `[..., D]`, of the result
 * @param x f32 `[..., D]`, what was normalised
 * @param weight f32, bf16 or f16 `[D]`
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function normBackward(
  gradient: Tensor,
  x: Tensor,
  weight: Tensor,
  options: NormBackwardOptions,
): NormGradients {
  const { eps, centred = false, upstream, wantWeight = true, wantBias = false } = options;
  const [dx, dWeight, dBias] = native().normBackward(
    gradient.handle,
    x.handle,
    weight.handle,
    eps,
    centred,
    upstream?.handle,
    wantWeight,
    wantBias,
  );
  return {
    x: new Tensor(dx),
    weight: dWeight && new Tensor(dWeight),
    bias: dBias && new Tensor(dBias),
  };
}
