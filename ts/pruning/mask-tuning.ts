import { cast } from '../ops/cast.js';
import { choleskySolve } from '../ops/cholesky-solve.js';
import { gram } from '../ops/gram.js';
import { multiply } from '../ops/multiply.js';
import { multiplyInto } from '../ops/multiply-into.js';
import { scale } from '../ops/scale.js';
import { subtract } from '../ops/subtract.js';
import { sumRows } from '../ops/sum-rows.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { asStored, heldOutError, ignoreNumeric } from './damped-refit.js';
import type { RegressionStatistics } from './regression-statistics.js';
import { settle } from '../tensor/settle.js';

/** How mask values are tuned. */
export interface MaskOptions {
  /** Tikhonov damping of m − 1, in units of the mean diagonal of H. Default 1e-2 [reconstructed]. */
  damping: number;
  /** A mask with a larger |m_j| is rejected. Default 10 [reconstructed]. */
  limit: number;
  signal?: AbortSignal;
}

/** Tuned mask values of the kept columns. */
export interface TunedMask {
  values: Float64Array;
  /** Their variance: large when the mask follows the calibration data too closely. */
  variance: number;
}

/**
 * H = (XᵀX) ∘ (WᵀW), f64 [in, in]: the Gram matrix of the vectors a_j = vec(x_j w_jᵀ) that
 * Y(m) = Σ_j m_j x_j w_jᵀ is made of.
 * @param inputs XᵀX, f64 [in, in]
 * @param weight W [out, in]
 */
export function maskGram(inputs: Tensor, weight: Tensor): Tensor {
  return scope(() => {
    const h = gram(inF32(weight));
    // Two matrices of this size are enough.
    multiplyInto(h, inputs);
    return h;
  });
}

/**
 * Tunes the mask of a product's columns so that its output is nearest to the target:
 * (H + λI) z = c − H 1, m = 1 + z, c_j = Σ_t x_tj (w_jᵀ y_t). Source: Kwon et al. 2204.09656 in the
 * sequential scheme of COMP.
 * @returns undefined when the solve fails or a value exceeds the limit
 */
export async function tuneMask(
  weight: Tensor,
  statistics: RegressionStatistics,
  { damping, limit, signal }: MaskOptions,
): Promise<TunedMask | undefined> {
  const { gram: inputs, cross } = statistics;
  const [target] = cross;
  if (inputs === undefined || target === undefined) return undefined;
  const shift = scope(() => {
    const h = maskGram(inputs, weight);
    const c = sumRows(multiply(target, cast(inF32(weight), 'f64')));
    return choleskySolve(h, subtract(c, sumRows(h)), { damping });
  });
  const solved = await ignoreNumeric(() => settle(shift, signal));
  shift.dispose();
  if (solved === undefined) return undefined;
  const values = Float64Array.from(solved as Float64Array, (z) => 1 + z);
  if (values.some((m) => !(Math.abs(m) <= limit))) return undefined;
  return { values, variance: variance(values) };
}

/**
 * Folds a mask into the columns of a weight, unless that is worse than the binary mask on the
 * held-out rows.
 * @returns the weight in its dtype, and the squared error on held-out rows after ÷ before; undefined
 * when the binary mask stays
 */
export async function foldMask(
  weight: Tensor,
  statistics: RegressionStatistics,
  { values }: TunedMask,
  signal?: AbortSignal,
): Promise<{ weight: Tensor; errorRatio: number } | undefined> {
  const folded = scope(() =>
    keep(
      asStored(
        scale(weight, Tensor.from(values, [values.length], { device: weight.device }), {
          axis: 'columns',
        }),
        weight,
      ),
    ),
  );
  if (statistics.heldOut.length === 0) return { weight: folded, errorRatio: 1 };
  const before = await heldOutError(weight, statistics.heldOut, signal);
  const after = await heldOutError(folded, statistics.heldOut, signal);
  if (after < before) return { weight: folded, errorRatio: after / before };
  folded.dispose();
  return undefined;
}

function variance(values: Float64Array): number {
  if (values.length === 0) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}

function inF32(weight: Tensor): Tensor {
  return weight.dtype === 'f32' ? weight : cast(weight, 'f32');
}
