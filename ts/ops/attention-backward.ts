import { native } from '../native/addon.js';
import { Tensor } from '../tensor/tensor.js';
import type { AttentionOptions } from './attention.js';

/** What {@link attentionBackward} needs of the forward pass. */
export interface AttentionForward {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  /** f32 `[B, T, H, D]`, the result. */
  output: Tensor;
  /** f32 `[B, T, H]`, the binary logarithm of the sum of `e^score`, which came with it. */
  logSumExp: Tensor;
}

/**
 * Gradients of q, k and v of softmax attention. Probabilities are made again block by block, so memory
 * does not grow with T × S; five products where the forward pass has two.
 *
 * @param gradient f32 `[B, T, H, D]`, of the output
 * @param options those of the forward pass, `scale` and `products` included
 * @returns f32, each like its input; zeros for masked keys and for queries that see no key
 * @throws EspalierError `DTYPE`, `SHAPE`, `CONFIG`, `DEVICE_MISMATCH`
 */
export function attentionBackward(
  gradient: Tensor,
  { q, k, v, output, logSumExp }: AttentionForward,
  options: AttentionOptions,
): { q: Tensor; k: Tensor; v: Tensor } {
  const { causal = true, window = 0, scale = 1 / Math.sqrt(q.shape[3] || 1) } = options;
  const { keyMask, products = 'f32' } = options;
  const [dq, dk, dv] = native().attentionBackward(
    gradient.handle,
    q.handle,
    k.handle,
    v.handle,
    output.handle,
    logSumExp.handle,
    scale,
    causal,
    window,
    keyMask?.handle,
    products,
  );
  return { q: new Tensor(dq), k: new Tensor(dk), v: new Tensor(dv) };
}
