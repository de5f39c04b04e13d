import { native, type Products } from '../native/addon.js';
import { isTracked, record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { attentionBackward } from './attention-backward.js';

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** Query i sees keys j ≤ i + S − T only; default true. Encoders say false. */
  causal?: boolean;
  /** Sliding window: query i sees keys j > i + S − T − window only; default 0, no limit. */
  window?: number;
  /** Factor on the scores; default `D^−½`. */
  scale?: number;
  /** u8 `[B, S]`: 1 for real tokens, 0 for padding, which no query sees; default: all are real. */
  keyMask?: Tensor | undefined;
  /** How factors are multiplied, forward and backward, where the device is a GPU. Default `f32`. */
  products?: Products;
}

/** q, k, v, output, logSumExp and the key mask, if any. */
type SavedTensors = [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?];

/**
 * Softmax attention with grouped key heads, in blocks: memory does not grow with T × S, forward or
 * backward.
 *
 * @param q f32 `[B, T, H, D]`
 * @param k f32 `[B, S, Hkv, D]`; query head h reads key head `⌊h / (H / Hkv)⌋`
 * @param v f32 like k
 * @returns f32 `[B, T, H, D]`; zeros for a query that sees no key
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = true, window = 0, scale = 1 / Math.sqrt(q.shape[3] || 1) } = options;
  const { keyMask, products = 'f32' } = options;
  const tracked = isTracked(q, k, v);
  const [handle, logarithms] = native().attention(
    q.handle,
    k.handle,
    v.handle,
    scale,
    causal,
    window,
    keyMask?.handle,
    products,
    tracked,
  );
  const output = new Tensor(handle);
  if (logarithms === undefined) return output;
  const logSumExp = new Tensor(logarithms);
  const saved = [q, k, v, output, logSumExp];
  if (keyMask !== undefined) saved.push(keyMask);
  record({
    op: 'attention',
    inputs: [q, k, v],
    outputs: [output],
    saved,
    backward: ([gradient], kept) => {
      const [q, k, v, output, logSumExp, mask] = kept as SavedTensors;
      const forward = { q, k, v, output, logSumExp };
      const result = attentionBackward(gradient as Tensor, forward, {
        causal,
        window,
        scale,
        keyMask: mask,
        products,
      });
      return [result.q, result.k, result.v];
    },
  });
  logSumExp.dispose();
  return output;
}
