import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** Query i sees keys j ≤ i + S − T only; default true. */
  causal?: boolean;
  /** Sliding window: query i sees keys j > i + S − T − window only; default 0, no limit. */
  window?: number;
  /** Factor on the scores; default `D^−½`. */
  scale?: number;
}

/**
 * Softmax attention with grouped key heads, in blocks: memory does not grow with T × S.
 *
 * @param q f32 `[B, T, H, D]`
 * @param k f32 `[B, S, Hkv, D]`; query head h reads key head `⌊h / (H / Hkv)⌋`
 * @param v f32 like k
 * @returns f32 `[B, T, H, D]`; zeros for a query that sees no key
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = true, window = 0, scale = 1 / Math.sqrt(q.shape[3] || 1) } = options;
  return new Tensor(native().attention(q.handle, k.handle, v.handle, scale, causal, window));
}
