import { EspalierError } from '../common/errors.js';
import { native, type NativeTensor, type Products } from '../native/addon.js';
import type { Shape } from '../native/types.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { linearBiasGradient } from './linear.js';

/** A low-rank path `scale · (dropout(x) Aᵀ) Bᵀ`. */
export interface LoraFactors {
  /** f32 `[r, K]` */
  a: Tensor;
  /** f32 `[N, r]` */
  b: Tensor;
  /** Factor on the path: `lora_alpha / r`, or `lora_alpha / √r` for rsLoRA. */
  scale: number;
  /** Probability of dropping an element of x on this path, in [0, 1). Default 0. */
  dropout?: number;
  /** Seed of the dropout mask, a whole number within ±2⁵³. Default 0. */
  seed?: number;
}

/** One linear layer, with or without a low-rank path. */
export interface LoraProjection {
  /** f32, bf16 or f16 `[N, K]`; never differentiated. */
  weight: Tensor;
  /** f32, bf16 or f16 `[N]` */
  bias?: Tensor;
  /** The adapter; without one the layer is a dense one. */
  lora?: LoraFactors;
}

/** Options of `loraLinear`. */
export interface LoraLinearOptions {
  /** How x and the weights are multiplied, forward and backward; low-rank paths are f32. Default `f32`. */
  products?: Products;
}

/** Gradients of `loraLinear`: of x, and of each projection's factors; undefined where not wanted. */
export interface LoraLinearGradients {
  /** f32 like x, summed over the projections. */
  x?: Tensor;
  /** One per projection. */
  factors: { a?: Tensor; b?: Tensor }[];
}

/**
 * Linear layers that read one x, each `y = x Wᵀ + scale · (dropout(x) Aᵀ) Bᵀ + b`, as one op: x is
 * read and rounded once for all of them, and the gradient of x is summed in one buffer. Dropout masks
 * depend on seed and position alone and are never stored (see `dropout`).
 *
 * @param x f32 `[..., K]`
 * @returns f32 `[..., N]` for each projection
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`; `UNSUPPORTED` for a weight that
 * is itself being trained
 */
export function loraLinear(
  x: Tensor,
  projections: readonly LoraProjection[],
  { products = 'f32' }: LoraLinearOptions = {},
): Tensor[] {
  const layers: (number | NativeTensor | undefined)[] = [];
  for (const { weight, bias, lora } of projections) {
    if (isTracked(weight)) {
      const message = 'weight: expected a frozen one, got one that is trained; use linear';
      throw new EspalierError('UNSUPPORTED', message, { op: 'loraLinear' });
    }
    const { scale = 1, dropout = 0, seed = 0 } = lora ?? {};
    layers.push(weight.handle, bias?.handle, lora?.a.handle, lora?.b.handle);
    layers.push(scale, dropout, seed);
  }
  const results = native().loraLinear(x.handle, products, ...layers);
  const outputs = projections.map((_, i) => new Tensor(results[2 * i] as NativeTensor));
  const hidden = projections.map((_, i) => {
    const handle = results[2 * i + 1];
    return handle === undefined ? undefined : new Tensor(handle);
  });
  const frozen = projections.map(({ weight }) => weight);
  const factors = projections.flatMap(({ lora }, i) =>
    lora === undefined ? [] : [lora.a, lora.b, hidden[i] as Tensor],
  );
  const scalars = projections.map(({ lora }) =>
    lora === undefined
      ? undefined
      : { scale: lora.scale, dropout: lora.dropout ?? 0, seed: lora.seed ?? 0 },
  );
  // Only dA reads x.
  const keepsInput = projections.some(({ lora }) => isTracked(lora?.a));
  const { shape } = x;
  record({
    op: 'loraLinear',
    inputs: [x, ...projections.flatMap(({ bias, lora }) => [lora?.a, lora?.b, bias])],
    outputs,
    saved: [...(keepsInput ? [x] : []), ...frozen, ...factors],
    backward: (gradients, kept, [wantsX, ...wanted]) => {
      const input = keepsInput ? kept[0] : undefined;
      const saved = keepsInput ? kept.slice(1) : kept;
      const rest = saved.slice(scalars.length);
      const parts = scalars.map((numbers, i): LoraBackwardPart => {
        const gradient = gradients[i];
        const weight = saved[i] as Tensor;
        if (numbers === undefined) return { gradient, weight };
        const [a, b, h] = rest.splice(0, 3) as [Tensor, Tensor, Tensor];
        const wants = { a: wanted[3 * i] === true, b: wanted[3 * i + 1] === true };
        return { gradient, weight, lora: { a, b, hidden: h, wants, ...numbers } };
      });
      const result = loraLinearBackward(input, shape, parts, wantsX === true, products);
      return [
        result.x,
        ...result.factors.flatMap(({ a, b }, i) => {
          const dy = gradients[i];
          const wantsBias = wanted[3 * i + 2] === true && dy !== undefined;
          return [a, b, wantsBias ? linearBiasGradient(dy) : undefined];
        }),
      ];
    },
  });
  for (const tensor of hidden) tensor?.dispose();
  return outputs;
}

/** One projection of `loraLinearBackward`. */
export interface LoraBackwardPart {
  /** Gradient of its output, f32 `[..., N]`; undefined: zero. */
  gradient: Tensor | undefined;
  /** As in forward. */
  weight: Tensor;
  /** The path as in forward, what it kept, and which gradients are wanted. */
  lora?: Required<LoraFactors> & {
    /** dropout(x) Aᵀ, f32 `[rows, r]` */
    hidden: Tensor;
    wants: { a: boolean; b: boolean };
  };
}

/**
 * Gradients of `loraLinear`: with `g = scale · dy B`, `dB = scale · dyᵀ hidden`, `dA = gᵀ dropout(x)`
 * and `dx = Σ dy W + dropout(g A)`; none of the weights.
 *
 * @param x f32 `[..., K]`; may be left out where no dA is wanted
 * @param shape of x
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function loraLinearBackward(
  x: Tensor | undefined,
  shape: Shape,
  parts: readonly LoraBackwardPart[],
  wantsX: boolean,
  products: Products = 'f32',
): LoraLinearGradients {
  const layers = parts.flatMap(({ gradient, weight, lora }) => [
    ...[gradient?.handle, weight.handle, lora?.a.handle, lora?.b.handle, lora?.hidden.handle],
    ...[lora?.scale ?? 1, lora?.dropout ?? 0, lora?.seed ?? 0],
    ...[lora?.wants.a ?? false, lora?.wants.b ?? false],
  ]);
  const [dx, ...handles] = native().loraLinearBackward(
    x?.handle,
    shape,
    products,
    wantsX,
    ...layers,
  );
  const made = handles.map((handle) => (handle === undefined ? undefined : new Tensor(handle)));
  const factors = parts.map((_, i) => {
    const [a, b] = [made[2 * i], made[2 * i + 1]];
    return { ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) };
  });
  return dx === undefined ? { factors } : { x: new Tensor(dx), factors };
}
