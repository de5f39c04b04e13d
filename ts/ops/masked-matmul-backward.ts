import { native } from '../native/addon.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { cast } from './cast.js';
import { embeddingBackward } from './embedding.js';
import { gatherColumns } from './gather-columns.js';
import { linearBiasGradient, linearWeightGradient } from './linear.js';
import { multiply } from './multiply.js';
import { transpose } from './transpose.js';

/** Which weights took part in a masked product, as tensors. */
export interface WeightMask {
  /** i32, kept rows of w. */
  rows: Tensor | undefined;
  /** i32, kept columns of w. */
  columns: Tensor | undefined;
  /** u8 `[N, K]` */
  mask: Tensor | undefined;
  /** Whether the output holds the kept rows only. */
  compact: boolean;
}

/** Records a masked product for its gradients; x is kept only where w is trained. */
export function recordMaskedMatmul(
  x: Tensor,
  w: Tensor,
  bias: Tensor | undefined,
  output: Tensor,
  { rows, columns, mask, compact }: WeightMask,
): void {
  const narrow = columns !== undefined && x.shape.at(-1) === columns.size;
  const optional = [rows, columns, mask, isTracked(w) ? x : undefined];
  const given = optional.map((tensor) => tensor !== undefined);
  record({
    op: 'maskedMatmul',
    inputs: [x, w, bias],
    outputs: [output],
    saved: [w, ...optional.filter((tensor) => tensor !== undefined)],
    backward: ([gradient], [weight, ...rest], [wantsInput, wantsWeight, wantsBias]) => {
      const dy = gradient as Tensor;
      const [r, c, m, input] = given.map((is) => (is ? rest.shift() : undefined));
      const lists = { rows: r, columns: c, mask: m, compact };
      const kept = r === undefined || compact ? dy : gatherColumns(dy, r);
      return [
        wantsInput ? maskedInputGradient(dy, weight as Tensor, lists, narrow) : undefined,
        wantsWeight
          ? maskedWeightGradient(kept, input as Tensor, lists, narrow, weight as Tensor)
          : undefined,
        wantsBias
          ? scatter(linearBiasGradient(kept), r, (weight as Tensor).shape[0] ?? 0)
          : undefined,
      ];
    },
  });
}

/**
 * Gradient of a masked product's input, `dx = dy (W ∘ M)`: again a masked product, with rows and
 * columns exchanged.
 *
 * @param gradient dy, f32 `[..., N]`, or `[..., rows]` of a compact product
 * @param narrow whether x held the kept columns only; dx then does too
 */
export function maskedInputGradient(
  gradient: Tensor,
  w: Tensor,
  { rows, columns, mask }: WeightMask,
  narrow: boolean,
): Tensor {
  const turned = mask === undefined ? undefined : transpose(mask);
  const lists = [columns?.handle, rows?.handle, turned?.handle] as const;
  const product = native().maskedMatmul;
  return new Tensor(product(gradient.handle, transpose(w).handle, undefined, ...lists, narrow));
}

/** dW = dyᵀ x where M keeps it, zero elsewhere; `kept` is dy `[..., kept rows]`. */
function maskedWeightGradient(
  kept: Tensor,
  x: Tensor,
  { rows, columns, mask }: WeightMask,
  narrow: boolean,
  w: Tensor,
): Tensor {
  const [height = 0, width = 0] = w.shape;
  const input = columns === undefined || narrow ? x : gatherColumns(x, columns);
  let dw = scatter(linearWeightGradient(kept, input), rows, height);
  if (columns !== undefined) dw = transpose(scatter(transpose(dw), columns, width));
  return mask === undefined ? dw : multiply(dw, cast(mask, 'f32'));
}

/** `x` spread over `count` rows, its rows at `indices` and zeros between them. */
function scatter(x: Tensor, indices: Tensor | undefined, count: number): Tensor {
  if (indices === undefined) return x;
  const width = x.shape[1] ?? 1;
  const spread = embeddingBackward(x.reshape([indices.size, width]), indices, count);
  return x.shape.length === 1 ? spread.reshape([count]) : spread;
}
